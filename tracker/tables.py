"""The catalogue of tables: columns, types, defaults and meaning, the one source for routing and every store.

Names are those of the original's ClickHouse form. No column is nullable: a row leaves out what is at its
default and the store fills it in. A new table is one entry here plus its numbered SQL per store.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What a column holds, and the JSON form in which a row carries it."""

    UUID = "uuid"  # hyphenated text
    TEXT = "text"
    INT32 = "int32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT64 = "float64"
    BOOL = "bool"
    TIMESTAMP = "timestamp"  # milliseconds, text `2026-11-22 03:00:00.123Z`
    NANOTIME = "nanotime"  # nanoseconds, text `2026-11-22 03:00:00.123456789Z`
    DATE = "date"  # text `2026-11-22`
    JSON = "json"  # any JSON value as it is


ZERO_UUID = "00000000-0000-0000-0000-000000000000"
EPOCH = "1970-01-01 00:00:00.000Z"

DEFAULTS = MappingProxyType(
    {
        Kind.UUID: ZERO_UUID,
        Kind.TEXT: "",
        Kind.INT32: 0,
        Kind.INT64: 0,
        Kind.UINT64: 0,
        Kind.FLOAT64: 0.0,
        Kind.BOOL: False,
        Kind.TIMESTAMP: EPOCH,
        Kind.NANOTIME: "1970-01-01 00:00:00.000000000Z",
        Kind.DATE: "1970-01-01",
        Kind.JSON: "{}",
    }
)
"""What a column holds when a row leaves it out; JSON's is the empty object."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column and what it means."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `key` names the columns that make a row what it is.

    `version` is None where every row stays (the key is the row's own id), else the column by which the
    latest row of the same key replaces the others.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: str | None = None

    def kinds(self) -> dict[str, Kind]:
        """Column name to kind, in the order of the columns."""
        return {column.name: column.kind for column in self.columns}


def _columns(kind: Kind, **meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, meaning) for name, meaning in meanings.items())


_CREATED = Column("created_at", Kind.TIMESTAMP, "when the collector took it, by the server's clock")
_HHASH = Column("hhash", Kind.TEXT, "hash of the host")
_SEEN = (*_columns(Kind.UUID, vid="visitor", sid="session"), _CREATED)

EVENTS = Table(
    name="events",
    meaning="one row for each event of any route",
    columns=(
        *_columns(
            Kind.UUID,
            eid="the event's id, the client's own or a UUIDv7 of ours",
            vid="visitor",
            sid="session",
            oid="organisation (tenant)",
            uid="the site's user",
            tid="thread or campaign target",
            rid="related record",
            auth_id="authenticated user",
            invoice_id="invoice",
            device_id="device, key `did`",
            ref="referring visitor",
        ),
        *_columns(
            Kind.TEXT,
            org="organisation's short name",
            hhash="hash of the host",
            iphash="hash of the client's address",
            bhash="hash of the user agent",
            app="application",
            rel="release of the application",
            ptyp="page type",
            xid="experiment",
            split="split of the experiment",
            ename="event name",
            etyp="event type",
            source="campaign source",
            medium="campaign medium",
            campaign="campaign name",
            content="campaign content",
            term="campaign term",
            sink="where a funnel ends",
            relation="kind of the related record",
            aff="affiliate",
            arm_id="experiment arm",
            mcid="marketing cloud id",
            device="kind of device",
            os="operating system",
            last="page before, as //host/path",
            url="page, as //host/path",
            ip="client's address, empty with UseRemoveIP",
            country="ISO 3166 code, upper case",
            region="region, lower case",
            city="city, lower case",
            zip="postal code",
            ja4h="fingerprint of the request's headers",
            gaid="Google advertising id",
            idfa="Apple advertising id",
            msid="Microsoft advertising id",
            fbid="Facebook id",
            culture="first accepted language, lower case",
            rcode="referral code",
            browser="user agent, lower case",
            tz="time zone, lower case",
            outcome="outcome the event reports",
        ),
        *_columns(
            Kind.INT64,
            cflags="consent, a bit mask",
            duration="milliseconds",
            vp_w="viewport width in pixels, key `w`",
            vp_h="viewport height in pixels, key `h`",
        ),
        *_columns(Kind.INT32, ver="version of the experiment or page"),
        *_columns(Kind.FLOAT64, lat="latitude", lon="longitude", score="score"),
        *_columns(
            Kind.BOOL,
            is_client="sent by a browser or device, not by a server",
            is_new="a visitor id was made for it",
        ),
        *_columns(Kind.JSON, params="everything that is no column, as sent", targets="targets, as sent"),
        _CREATED,
    ),
    key=("eid",),
)

LOGS = Table(
    name="logs",
    meaning="one row for each log line that a trusted caller sent",
    columns=(
        Column("id", Kind.UUID, "the row's id, time-ordered"),
        Column("ldate", Kind.DATE, "day the line was written"),
        _CREATED,
        Column("ltime", Kind.NANOTIME, "instant the line was written, key `ltimenss`"),
        *_columns(
            Kind.TEXT,
            topic="subject it came by",
            name="logger",
            host="host that logged",
            hostname="name of that host",
            org="organisation's short name",
            ip="address in the line, empty with UseRemoveIP",
            iphash="hash of that address",
            msg="the line",
        ),
        *_columns(Kind.UUID, oid="organisation (tenant)", owner="owner of the line"),
        Column("level", Kind.INT32, "severity"),
        Column("params", Kind.JSON, "fields of the line"),
    ),
    key=("id",),
)

UPDATES = Table(
    name="updates",
    meaning="the latest update of each id",
    columns=(
        Column("id", Kind.TEXT, "what was updated"),
        Column("updated_at", Kind.TIMESTAMP, "when, key `updated` in milliseconds"),
        Column("msg", Kind.TEXT, "the update"),
    ),
    key=("id",),
    version="updated_at",
)

COUNTERS = Table(
    name="counters",
    meaning="one row for each thing counted; a counter is the sum of its rows",
    columns=(
        Column("id", Kind.TEXT, "the counter's name"),
        Column("total", Kind.UINT64, "how much this row adds"),
        Column("date", Kind.DATE, "UTC day"),
        Column("cid", Kind.UUID, "the row's own id"),
    ),
    key=("cid",),
)

HOSTS = Table(
    name="hosts",
    meaning="the name behind each host hash",
    columns=(_HHASH, Column("hostname", Kind.TEXT, "host, lower case, without port"), _CREATED),
    key=("hhash", "hostname"),
    version="created_at",
)


def _seen_by(name: str, column: Column, key: tuple[str, ...], meaning: str) -> Table:
    return Table(name, meaning, (_HHASH, column, *_SEEN), key, "created_at")


USERNAMES = _seen_by(
    "usernames",
    Column("uhash", Kind.TEXT, "hash of the user name"),
    ("hhash", "uhash", "vid"),
    "which visitors a user name was seen with",
)
EMAILS = _seen_by(
    "emails",
    Column("ehash", Kind.TEXT, "hash of the e-mail address"),
    ("hhash", "ehash"),
    "the visitor an e-mail address was last seen with",
)
CELLS = _seen_by(
    "cells",
    Column("chash", Kind.TEXT, "hash of the phone number"),
    ("hhash", "chash", "vid"),
    "which visitors a phone number was seen with",
)
USERHOSTS = _seen_by(
    "userhosts",
    Column("uid", Kind.UUID, "the site's user"),
    ("hhash", "uid", "vid"),
    "which visitors a user was seen as",
)

CATALOGUE = MappingProxyType(
    {
        table.name: table
        for table in (EVENTS, LOGS, UPDATES, COUNTERS, HOSTS, USERNAMES, EMAILS, CELLS, USERHOSTS)
    }
)
"""Every table by name."""
