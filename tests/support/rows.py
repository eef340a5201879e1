"""Rows of any table of the catalogue, made from its columns alone."""

from typing import Any

from tracker.sinks.registry import SCHEMA
from tracker.sinks.seed import read_seed
from tracker.tables import Column, Kind, Table

_SEED = read_seed(SCHEMA / "duckdb")
SHIPPED = {"jurisdictions": len(_SEED.lines) if _SEED else 0}
"""Rows that every store begins with, by table."""


def uuid_of(number: int) -> str:
    """A UUID that is this number's."""
    return f"0190163d-8694-739b-aea5-{number:012x}"


def full_row(table: Table, number: int, **columns: Any) -> dict[str, Any]:
    """A row whose every column has a value of this number (below 100), none at its default."""
    return {column.name: _value(column, number) for column in table.columns} | columns


def _value(column: Column, number: int) -> Any:
    text = f"{column.name} {number} ü"
    values: dict[Kind, Any] = {
        Kind.UUID: uuid_of(number + 1),
        Kind.TEXT: text,
        Kind.LABEL: text,
        Kind.UINT32: 2**32 - 1 - number,
        Kind.UINT64: 2**64 - 1 - number,
        Kind.FLOAT64: number + 0.25,
        Kind.DECIMAL: f"-{number}12345678901234567890.123456789",
        Kind.BOOL: True,
        Kind.TIMESTAMP: f"2026-11-22 03:00:00.1{number:02}Z",
        Kind.NANOTIME: f"2026-11-22 03:00:00.1234567{number:02}Z",
        Kind.DATE: "2026-11-22",
        Kind.JSON: {"a.b": [number, {"c": text}], "d": {"e": 1.5}},
        Kind.TEXTS: [text, ""],
        Kind.UUIDS: [uuid_of(number + 1), uuid_of(number + 2)],
    }
    if column.kind in (Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64):
        return -(2 ** (int(column.kind.value[3:]) - 1)) + number
    return values[column.kind]
