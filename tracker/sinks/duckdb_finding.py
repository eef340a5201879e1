"""Rows found in a DuckDB file by the values of their columns, in threads that no question holds up.

They run at the usual priority: somebody waits for the answer. A checkpoint that needs the memory may
interrupt one; it is asked again, within its time.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import duckdb

from tracker.errors import QueryError
from tracker.sinks.duckdb_errors import first_line
from tracker.sinks.duckdb_file import CATALOG
from tracker.sinks.duckdb_jobs import ended, stop
from tracker.sinks.duckdb_room import Room
from tracker.sinks.duckdb_values import converters, plain
from tracker.sinks.finding import FIND_SECONDS, Row, Wanted, merged, wanted
from tracker.tables import Column, Kind

THREADS = 2
_FEW = 8
"""Values up to which the index of a table can be used."""

Rows = list[Row]

_AS_TEXT: Mapping[str, str] = {
    Kind.UUID: "CAST({0} AS VARCHAR)",
    Kind.TIMESTAMP: "strftime({0}, '%Y-%m-%d %H:%M:%S.%gZ')",
    Kind.NANOTIME: "CAST({0} AS VARCHAR)",  # strftime makes no text of its nanoseconds
    Kind.DATE: "CAST({0} AS VARCHAR)",
    "decimal": "CAST({0} AS VARCHAR)",
}
"""Kinds that come as text in the form in which rows carry them."""


class Finder:
    """Finds rows in one open database."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, room: Room) -> None:
        self._connection = connection
        self._room = room
        self._threads = ThreadPoolExecutor(THREADS, "duckdb-find")
        self._asked: dict[Future[Rows], duckdb.DuckDBPyConnection] = {}
        self._is_closed = False

    async def find(self, table: str, where: Mapping[str, Sequence[str]], limit: int) -> Rows:
        """As `Store.find`."""
        question = wanted(table, where, limit)
        if question.is_empty:
            return []
        try:
            async with asyncio.timeout(FIND_SECONDS):
                found = [row for part in question.portions() for row in await self._insist(part)]
        except TimeoutError as error:
            raise QueryError(f"no rows of {table} found within {FIND_SECONDS:g} seconds") from error
        return merged(question, found)

    async def close(self) -> None:
        """Stop what is under way and let go of the threads; who waits gets a QueryError."""
        self._is_closed = True
        for job, cursor in list(self._asked.items()):
            await stop(job, cursor)
        self._threads.shutdown(wait=False)

    async def _insist(self, question: Wanted) -> Rows:
        while True:
            try:
                return await self._ask(question)
            except duckdb.InterruptException:
                if self._is_closed:
                    raise QueryError("the store was closed before it could answer") from None
            except duckdb.Error as error:
                raise QueryError(f"rows of {question.table.name}: {first_line(error)}") from error

    async def _ask(self, question: Wanted) -> Rows:
        if self._is_closed:
            raise QueryError("the store is not open")
        cursor = self._connection.cursor()
        job = self._threads.submit(_found, self._room, cursor, question)
        self._asked[job] = cursor
        try:
            await ended(job, FIND_SECONDS)
            if job.cancelled():
                raise QueryError("the store was closed before it could answer")
            return job.result(timeout=0)
        finally:
            await stop(job, cursor)
            self._asked.pop(job, None)


def _found(room: Room, cursor: duckdb.DuckDBPyConnection, question: Wanted) -> Rows:
    """Runs in a thread."""
    try:
        with room.question(cursor):
            cursor.execute(*_statement(question))
            rows = cursor.fetchall()
    finally:
        cursor.close()
    names = [column.name for column in question.table.columns]
    change = [_change_of(column) for column in question.table.columns]
    return [
        {name: to_plain(value) for name, to_plain, value in zip(names, change, row, strict=True)}
        for row in rows
    ]


def _statement(question: Wanted) -> tuple[str, list[str | list[str]]]:
    table = question.table
    columns = ", ".join(
        _AS_TEXT.get(column.kind, "{0}").format(f'"{column.name}"') for column in table.columns
    )
    values: list[str | list[str]] = []
    conditions = []
    kinds = table.kinds()
    for name, texts in question.where.items():
        kind = _TYPES.get(kinds[name], "VARCHAR")
        if len(texts) <= _FEW:
            conditions.append(f'"{name}" IN ({", ".join([f"CAST(? AS {kind})"] * len(texts))})')
            values += texts
        else:  # a long list is compared value by value, the rows of a question are not
            conditions.append(f'"{name}" IN (SELECT unnest(CAST(? AS {kind}[])))')
            values.append(list(texts))
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    order = ", ".join(f'"{name}"' for name in table.key)
    sql = f"SELECT {columns} FROM {CATALOG}.{table.name} {where}ORDER BY {order} LIMIT {question.limit}"  # noqa: S608 (names of the catalogue)
    return sql, values


_TYPES: Mapping[Kind, str] = {
    Kind.UUID: "UUID",
    Kind.DATE: "DATE",
    Kind.INT8: "TINYINT",
    Kind.INT16: "SMALLINT",
    Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT",
    Kind.UINT32: "UINTEGER",
    Kind.UINT64: "UBIGINT",
}


def _change_of(column: Column) -> Callable[[Any], Any]:
    if column.kind is Kind.NANOTIME:
        return _nanoseconds
    return converters(["JSON"])[0] if column.kind is Kind.JSON else plain


def _nanoseconds(text: str) -> str:
    """DuckDB leaves zeros out at the end."""
    seconds, _, fraction = text.partition(".")
    return f"{seconds}.{fraction.ljust(9, '0')}Z"
