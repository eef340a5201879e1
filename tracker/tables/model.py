"""What a table is: its columns, each of a kind, each with a default and a meaning."""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What a column holds, and the JSON form in which a row carries it."""

    UUID = "uuid"  # hyphenated text
    TEXT = "text"
    LABEL = "label"  # text of which there are few
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT64 = "float64"
    DECIMAL = "decimal"  # 38 digits, 9 of them behind the point, text `0.10`
    BOOL = "bool"
    TIMESTAMP = "timestamp"  # milliseconds, text `2026-11-22 03:00:00.123Z`
    NANOTIME = "nanotime"  # nanoseconds, text `2026-11-22 03:00:00.123456789Z`
    DATE = "date"  # text `2026-11-22`, until 2148
    JSON = "json"  # an object as it is
    TEXTS = "texts"  # an array of text
    UUIDS = "uuids"  # an array of hyphenated text


ZERO_UUID = "00000000-0000-0000-0000-000000000000"
EPOCH = "1970-01-01 00:00:00.000Z"

Default = str | int | float | bool

DEFAULTS: MappingProxyType[Kind, Default] = MappingProxyType(
    {
        Kind.UUID: ZERO_UUID,
        Kind.TEXT: "",
        Kind.LABEL: "",
        Kind.INT8: 0,
        Kind.INT16: 0,
        Kind.INT32: 0,
        Kind.INT64: 0,
        Kind.UINT32: 0,
        Kind.UINT64: 0,
        Kind.FLOAT64: 0.0,
        Kind.DECIMAL: "0.000000000",
        Kind.BOOL: False,
        Kind.TIMESTAMP: EPOCH,
        Kind.NANOTIME: "1970-01-01 00:00:00.000000000Z",
        Kind.DATE: "1970-01-01",
        Kind.JSON: "{}",
        Kind.TEXTS: "[]",
        Kind.UUIDS: "[]",
    }
)
"""What a column of a kind holds when a row leaves it out; of JSON and arrays, the empty one as text."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column and what it means; `special` is its default where that is not its kind's."""

    name: str
    kind: Kind
    meaning: str
    special: Default | None = None

    @property
    def default(self) -> Default:
        """What the column holds when a row leaves it out."""
        return DEFAULTS[self.kind] if self.special is None else self.special


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `key` names the columns that make a row what it is.

    `version` is None where every row stays (the key is the row's own id), else the column by which the
    latest row of the same key replaces the others; of equal versions, the one that came last.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    version: str | None = None

    def kinds(self) -> dict[str, Kind]:
        """Column name to kind, in the order of the columns."""
        return {column.name: column.kind for column in self.columns}


def columns(kind: Kind, **meanings: str) -> tuple[Column, ...]:
    """Columns of one kind: name and meaning."""
    return tuple(Column(name, kind, meaning) for name, meaning in meanings.items())


CREATED = Column("created_at", Kind.TIMESTAMP, "when the collector took it, by the server's clock")
UPDATED = Column("updated_at", Kind.TIMESTAMP, "when the row was made, by the server's clock")
HHASH = Column("hhash", Kind.TEXT, "hash of the host")
OID = Column("oid", Kind.UUID, "organisation (tenant)")
ORG = Column("org", Kind.LABEL, "organisation's short name")
GROUND = Column(
    "ground",
    Kind.LABEL,
    "why what identifies a person was taken away: gpc, no_consent, ...; empty: it was not",
)
EID = Column("eid", Kind.UUID, "the event that said it; the row's id")
