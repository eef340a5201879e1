"""Rows found in ClickHouse by the values of their columns, over connections that no question holds up.

Servers that are no replicas of each other each have some of the rows: all of them are asked, for any may
have the newest version.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracker.errors import QueryError
from tracker.sinks.clickhouse_engine import Complaint, Engine, Unreachable
from tracker.sinks.clickhouse_questions import reason_of
from tracker.sinks.clickhouse_sql import literal, name
from tracker.sinks.clickhouse_store import BOUNDS, EXACT, FORM
from tracker.sinks.clickhouse_values import change_of
from tracker.sinks.finding import FIND_SECONDS, Row, Wanted, merged, wanted
from tracker.tables import Column, Kind, Table

_NUMBERS = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT32, Kind.UINT64})
_SETTINGS = {**EXACT, **FORM, **BOUNDS, "max_execution_time": int(FIND_SECONDS) + 1, "readonly": 1}


class Finder:
    """Finds rows; made with the engines of all servers, which it opens when it first needs them."""

    def __init__(self, engines: Sequence[Engine], *, are_replicas: bool) -> None:
        self._engines = engines
        self._are_replicas = are_replicas
        self._is_closed = False

    async def find(self, table: str, where: Mapping[str, Sequence[str]], limit: int) -> list[Row]:
        """As `Store.find`."""
        question = wanted(table, where, limit)
        if question.is_empty:
            return []
        try:
            async with asyncio.timeout(FIND_SECONDS):
                found = [row for part in question.portions() for row in await self._ask(part)]
        except TimeoutError as error:
            raise QueryError(f"no rows of {table} found within {FIND_SECONDS:g} seconds") from error
        return merged(question, found)

    async def close(self) -> None:
        """Let go of every server; who waits gets a QueryError. Safe twice, for good."""
        self._is_closed = True
        await asyncio.gather(*(engine.close() for engine in self._engines))

    async def _ask(self, question: Wanted) -> list[Row]:
        if self._is_closed:
            raise QueryError("the store is not open")
        if self._are_replicas:
            return await self._first(question)
        answers = await asyncio.gather(*(_asked(engine, question) for engine in self._engines))
        return [row for rows in answers for row in rows]

    async def _first(self, question: Wanted) -> list[Row]:
        missing: list[str] = []
        for engine in self._engines:
            try:
                return await _asked(engine, question)
            except QueryError as error:
                missing.append(str(error))
        raise QueryError("; ".join(missing))


async def _asked(engine: Engine, question: Wanted) -> list[Row]:
    """Raises QueryError."""
    try:
        await engine.open()
        told = await engine.ask(_statement(question), _SETTINGS)
    except Unreachable as error:
        raise QueryError(f"{engine.place} cannot be reached: {error.reason}") from error
    except Complaint as error:
        raise QueryError(f"{engine.place}: {reason_of(error)}") from error
    changes = [
        _change_of(column, kind) for column, kind in zip(question.table.columns, told.types, strict=True)
    ]
    names = [column.name for column in question.table.columns]
    return [
        {
            key: change(value) if change else value
            for key, change, value in zip(names, changes, row, strict=True)
        }
        for row in told.rows
    ]


def _statement(question: Wanted) -> str:
    table = question.table
    kinds = table.kinds()
    columns = ", ".join(name(column.name) for column in table.columns)
    conditions = [
        f"{name(column)} IN ({', '.join(_literal(kinds[column], text) for text in texts)})"
        for column, texts in question.where.items()
    ]
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    return (
        f"SELECT {columns} FROM {name(table.name)} {where}"  # noqa: S608 (names of the catalogue, quoted values)
        f"ORDER BY {_order(table)} LIMIT {question.limit}"
    )


def _order(table: Table) -> str:
    """As texts: ClickHouse itself sorts a UUID's second half first."""
    kinds = table.kinds()
    return ", ".join(
        f"toString({name(column)})" if kinds[column] is Kind.UUID else name(column) for column in table.key
    )


def _literal(kind: Kind, text: str) -> str:
    return text if kind in _NUMBERS else literal(text)


def _change_of(column: Column, kind: str) -> Callable[[Any], Any] | None:
    """What turns a value into the form in which rows carry it."""
    return _moment if column.kind in (Kind.TIMESTAMP, Kind.NANOTIME) else change_of(kind)


def _moment(value: str) -> str:
    return value.replace("T", " ")
