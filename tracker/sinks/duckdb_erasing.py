"""A person's rows in a DuckDB file: see `erasing`.

What was deleted can be asked for no more once this returns, also after a crash. Its bytes stay in blocks of
the file until DuckDB writes over them; only a new file (backup and restore) surely has none of them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import duckdb

from tracker.errors import QueryError, SinkUnavailable
from tracker.sinks.base import Sink
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.duckdb_own import opened
from tracker.sinks.erasing import ASK_SECONDS, MOST_IDS, PersonRows, emptied
from tracker.sinks.registry import SinkSettings
from tracker.tables import ZERO_UUID
from tracker.tables.persons import Person, literal, mention_condition

_WITHOUT = "list_filter({column}, lambda one: one NOT IN ({values}))"
_ZERO = f"{literal(ZERO_UUID)}::UUID"


class DuckDbPersons(PersonRows):
    """Over an open file: each table is changed in one transaction between two batches."""

    def __init__(self, sink: DuckDbSink) -> None:
        super().__init__(sink)
        self._sink = sink

    async def ask(self, sql: str) -> Sequence[Sequence[Any]]:
        """As `PersonRows.ask`."""
        return (await self._sink.query(sql, max_rows=MOST_IDS, timeout_seconds=ASK_SECONDS)).rows

    async def erase(self, person: Person) -> None:
        """As `PersonStore.erase`; then the log goes into the file, unless somebody asks just now."""
        try:
            await super().erase(person)
            await self._sink.tidy()
        except SinkUnavailable as error:
            raise QueryError(error.reason) from error

    async def change(self, table: str, gone: str, person: Person) -> None:
        """As `PersonRows.change`."""
        statements = [f"DELETE FROM {table} WHERE {gone}"] if gone else []  # noqa: S608 (names of ours)
        if where := mention_condition(person, table, self.has):
            assignments = emptied(person, table, _WITHOUT, _ZERO)
            statements.append(f"UPDATE {table} SET {assignments} WHERE {where}")  # noqa: S608 (names of ours)
        await self._sink.change(lambda connection: _run(connection, statements))

    @staticmethod
    def has(column: str, value: str) -> str:
        """As `PersonRows.has`."""
        return f"list_contains({column}, {value}::UUID)"


def _run(connection: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)


@asynccontextmanager
async def eraser(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[DuckDbPersons]:
    """As `erasing.eraser`."""
    async with opened(settings, sink) as own:
        yield DuckDbPersons(own)
