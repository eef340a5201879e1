"""A person's rows in ClickHouse, by mutations that are waited for on every replica: see `erasing`.

A mutation writes the parts anew that hold such rows. The parts as they were are inactive from then on, and
ClickHouse removes them from the disk some minutes later (`old_parts_lifetime`, 8 minutes by default).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tracker.sinks.base import Sink, Store
from tracker.sinks.clickhouse_asked import to_ask
from tracker.sinks.clickhouse_engine import Settings
from tracker.sinks.clickhouse_places import MUTATING, At, assert_there, opened, translated
from tracker.sinks.erasing import PersonRows, emptied
from tracker.sinks.registry import SinkSettings, as_store
from tracker.tables import CATALOGUE, ZERO_UUID
from tracker.tables.persons import Person, condition, literal, mention_condition

CURRENT: Settings = {"final": 1}
_WITHOUT = "arrayFilter(one -> one NOT IN ({values}), {column})"
_ZERO = f"toUUID({literal(ZERO_UUID)})"


class ClickHousePersons(PersonRows):
    """Over open engines of its own, one for each place that has rows of its own."""

    def __init__(self, store: Store, places: Sequence[At]) -> None:
        super().__init__(store)
        self._places = places

    async def ask(self, sql: str) -> Sequence[Sequence[Any]]:
        """As `PersonRows.ask`; a count is the sum over the places."""
        found = [row for at in self._places for row in await _asked(at, sql, CURRENT)]
        is_count = sql.startswith("SELECT count(*)")
        return [(sum(int(row[0]) for row in found),)] if is_count else found

    async def concerned(self, person: Person) -> list[str]:
        """Tables that hold such rows, those that newer ones have replaced included."""
        return [table for table in person.tables() if await self._stored(person, table)]

    async def _stored(self, person: Person, table: str) -> bool:
        parts = [condition(person, table), mention_condition(person, table, self.has)]
        where = " OR ".join(part for part in parts if part)
        sql = f"SELECT count() FROM {table} WHERE {where}"  # noqa: S608 (names of ours)
        rows = [row for at in self._places for row in await _asked(at, sql, {"final": 0})] if where else []
        return any(int(row[0]) for row in rows)

    async def change(self, table: str, gone: str, person: Person) -> None:
        """As `PersonRows.change`. A row that replaced others of its key takes them with it."""
        where = mention_condition(person, table, self.has)
        for at in self._places:
            stored = at.form.stored(table)
            alter = f"ALTER TABLE {stored}{at.form.everywhere}"
            changes = [f"DELETE WHERE {gone}{_older(table, stored, gone)}"] if gone else []
            if where:
                changes.append(f"UPDATE {emptied(person, table, _WITHOUT, _ZERO)} WHERE {where}")
            with translated(at.engine):
                await at.engine.command(f"{alter} {', '.join(changes)}", MUTATING)

    @staticmethod
    def has(column: str, value: str) -> str:
        """As `PersonRows.has`."""
        return f"has({column}, toUUID({value}))"


def _older(table: str, stored: str, gone: str) -> str:
    """What also deletes the rows that a deleted one had replaced, and that are not merged away yet."""
    if CATALOGUE[table].version is None:
        return ""
    key = ", ".join(CATALOGUE[table].key)
    return f" OR ({key}) IN (SELECT {key} FROM {stored} FINAL WHERE {gone})"  # noqa: S608 (names of ours)


@asynccontextmanager
async def eraser(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[ClickHousePersons]:
    """As `erasing.eraser`; an engine in this process can have several users."""
    await assert_there(settings)
    async with AsyncExitStack() as stack:
        store: Store | None = as_store(sink) if sink else None
        if store is None:
            store = await stack.enter_async_context(to_ask(settings))
        places = await stack.enter_async_context(opened(settings, "erase"))
        yield ClickHousePersons(store, places)


async def _asked(at: At, sql: str, settings: Settings) -> Sequence[Sequence[Any]]:
    with translated(at.engine):
        return (await at.engine.ask(sql, settings)).rows
