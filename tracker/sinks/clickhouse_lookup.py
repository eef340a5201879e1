"""Which rows of a batch a table does not have: asked by key after a batch was sent again.

A repeated insert may be dropped by its token though its rows are missing (a kill between the note of the
token and the part), so the token is never the proof; the rows are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tracker.sinks import ndjson
from tracker.sinks.clickhouse_engine import Engine
from tracker.sinks.clickhouse_sql import literal
from tracker.tables import Column, Kind, Table

_KEYS_PER_QUESTION = 1000
_MOST_BYTES = 128 * 1024
"""Of keys in one question: by default a server reads no more than 256 KiB of SQL."""
_TIMES = ("created_at", "date", "updated_at")
"""Columns by which partitions are cut: a span of them spares reading the others."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Sent:
    """What tells whether a row is there; values as the store answers them."""

    row: int
    key: Key
    version: Any
    """True where the table has no versions."""
    time: str
    """'' where no span of times helps."""


async def missing(engine: Engine, table: Table, data: bytes) -> list[int]:
    """The rows of a batch (0 is the first) that the table does not have, in order.

    A row of a table with versions is there when its key has this version or a later one. Every line is a row
    that the table could take. Raises Complaint and Unreachable.
    """
    rows = [_sent(table, number, orjson.loads(line)) for number, line in enumerate(ndjson.lines(data))]
    there: dict[Key, Any] = {}
    for some in _portions(rows):
        told = await engine.ask(_question(table, some))
        there |= {tuple(key): version for *key, version in told.rows}
    return [row.row for row in rows if row.key not in there or there[row.key] < row.version]


def _sent(table: Table, number: int, values: dict[str, Any]) -> _Sent:
    columns = {column.name: column for column in table.columns}

    def value(name: str) -> Any:
        return _as_answered(columns[name], values.get(name, columns[name].default))

    time = next((name for name in _TIMES if name in columns and name != table.version), None)
    return _Sent(
        row=number,
        key=tuple(value(name) for name in table.key),
        version=value(table.version) if table.version else True,
        time=value(time) if time else "",
    )


def _as_answered(column: Column, value: Any) -> Any:
    """A row's value in the form in which ClickHouse writes it."""
    if column.kind is Kind.UUID:
        return str(value).lower()
    return str(value).removesuffix("Z") if column.kind in (Kind.TIMESTAMP, Kind.NANOTIME) else value


def _portions(rows: Sequence[_Sent]) -> Iterator[Sequence[_Sent]]:
    """Rows for one question each."""
    portion: list[_Sent] = []
    size = 0
    for row in rows:
        length = len(_tuple(map(_literal, row.key)).encode())
        if portion and (len(portion) == _KEYS_PER_QUESTION or size + length > _MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def _question(table: Table, rows: Sequence[_Sent]) -> str:
    names = ", ".join(table.key)
    keys = ", ".join(dict.fromkeys(_tuple(map(_literal, row.key)) for row in rows))
    version = f"max({table.version})" if table.version else "true"
    return (
        f"SELECT {names}, {version} FROM {table.name} "  # noqa: S608 (names of the catalogue, quoted values)
        f"WHERE {_span(table, rows)}{_tuple(table.key)} IN ({keys}) GROUP BY {names}"
    )


def _span(table: Table, rows: Sequence[_Sent]) -> str:
    times = [row.time for row in rows]
    if not times[0]:
        return ""
    name = next(name for name in _TIMES if name in table.kinds())
    return f"{name} BETWEEN {literal(min(times))} AND {literal(max(times))} AND "


def _tuple(parts: Iterable[str]) -> str:
    """`a`, or `(a, b)`; a list of bare values is read three times as fast as one of tuples."""
    first, *more = parts
    return f"({', '.join((first, *more))})" if more else first


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int | float) else literal(str(value))
