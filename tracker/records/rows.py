"""Rows as they were written -> rows as the store answers them, and which of two is the newer. Pure."""

import json
from typing import Any

from tracker.records.ports import Row
from tracker.tables import Kind, Table

_DOCUMENTS = frozenset({Kind.JSON, Kind.TEXTS, Kind.UUIDS})


def whole(table: Table, row: Row) -> Row:
    """The row with every column of its table; what it left out is at its default."""
    return {
        column.name: row[column.name] if column.name in row else _default(column.kind, column.default)
        for column in table.columns
    }


def _default(kind: Kind, default: Any) -> Any:
    return json.loads(default) if kind in _DOCUMENTS else default


def key_of(table: Table, row: Row) -> tuple[str, ...]:
    """What makes the row what it is."""
    return tuple(str(row[name]) for name in table.key)


def version_of(table: Table, row: Row) -> str:
    """Texts that sort as the versions do; '' where a table has none."""
    return str(row[table.version]) if table.version else ""


def newest(table: Table, *rows: Row | None) -> Row | None:
    """The newest of these; of equal versions the last one."""
    best: Row | None = None
    for row in rows:
        if row is not None and (best is None or version_of(table, row) >= version_of(table, best)):
            best = row
    return best


def size_of(row: Row) -> int:
    """About how many bytes of memory a row takes."""
    return 400 + sum(64 + (len(value) if isinstance(value, str) else 32) for value in row.values())
