"""The values that travel: what was sent, what it means, the rows it becomes, the batches they leave in.

Nothing here acts; every value is frozen, a change makes a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Values = dict[str, Any]
"""One event's keys and values; known keys in their canonical (lower-case) form, others as they were sent."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounded a hit: one is made for a request (or a WebSocket) and shared by all its events."""

    route: str
    """tr, str, img, pub, rdr, xrdr, ws: the last word of the route."""
    is_client: bool
    """True for a browser or device that carries cookies, False for a server that reports about one."""
    host: str
    """Lower case, without port; '' when the request named none."""
    ip: str
    """Canonical text of the client's address, '' when unknown. Ends in the privacy step."""
    user_agent: str
    """As sent, valid Unicode; '' on server routes."""
    language: str
    """The Accept-Language header as sent; '' on server routes."""
    ja4h: str
    """Fingerprint of the request's headers."""
    uri: str
    """Path and query as sent."""
    base: Values
    """Merged values of the `User` header, cookies and path pairs (see `steps.merge`)."""
    query: Values = field(default_factory=dict)
    """Merged query of a GET or of a WebSocket's upgrade; empty for POST."""
    gpc: bool = False
    """`Sec-GPC: 1` was sent: a person does not want personal data to be sold or shared."""
    dnt: bool = False
    """`DNT: 1` was sent: a person does not want to be tracked."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was sent, from where, and when; no meaning yet."""

    envelope: Envelope
    body: Mapping[str, Any]
    """The JSON object of a POST or a WebSocket message; empty for GET."""
    received_at: float
    """Unix seconds of the server's clock."""


class Place(NamedTuple):
    """Where an address is, as far as a database knows; text in the database's own case."""

    country: str = ""
    """ISO 3166-1, two letters, upper case; '' when unknown, as in all texts here."""
    region: str = ""
    """Its name where the database has one, else its code."""
    city: str = ""
    zip: str = ""
    lat: float = 0.0
    """Degrees; 0.0 with `lon` 0.0 when unknown."""
    lon: float = 0.0
    tz: str = ""
    """A zone's name or an offset such as -07:00, whichever the database has."""


class Row(NamedTuple):
    """One row of one table, encoded once: these bytes are what every sink gets."""

    table: str
    line: bytes
    """One JSON object in UTF-8 without a newline; columns at their default are left out."""


class Entry(NamedTuple):
    """All rows of one event, stored together or not at all."""

    rows: tuple[Row, ...]
    client_id: bytes | None = None
    """16 bytes of an event id the client chose: the same id again is a retry, not a second event."""


class Identity(NamedTuple):
    """Who an event belongs to, as its row says it and as the cookies must say it; hyphenated UUIDs."""

    eid: str
    vid: str
    sid: str
    is_new: bool
    """A visitor id was made for this event."""
    is_lasting: bool = True
    """Cookies may say it; not where the visitor is to be known again by nobody."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table on their way to one sink. The same id always means the same bytes."""

    id: str
    """A UUIDv7 as text, fixed when the batch was sealed."""
    table: str
    rows: int
    data: bytes
    """The rows' lines, each ended by a newline."""
    is_repeat: bool = False
    """It may have been sent before, with an unknown outcome."""
    part: str = ""
    """Which part of the table's rows these are, where not every sink may have them (see `parts`)."""

    @property
    def lane(self) -> str:
        """The name under which its rows waited: batches of one lane leave one after another."""
        return self.table + self.part
