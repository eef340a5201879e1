"""A person's rows in ClickHouse, by mutations that are waited for on every replica: see `erasing`.

A mutation writes the parts anew that hold such rows. The parts as they were are inactive from then on, and
ClickHouse removes them from the disk some minutes later (`old_parts_lifetime`, 8 minutes by default).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tracker.errors import QueryError
from tracker.sinks.base import Sink, Store
from tracker.sinks.clickhouse import engine_of, layout_of
from tracker.sinks.clickhouse_asked import to_ask
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_engine import Complaint, Engine, Settings, Unreachable
from tracker.sinks.clickhouse_errors import name_of
from tracker.sinks.erasing import PersonRows, emptied
from tracker.sinks.registry import SinkSettings, as_store
from tracker.tables import CATALOGUE, ZERO_UUID
from tracker.tables.persons import Person, condition, literal, mention_condition

ANSWER_SECONDS = 6 * 3600.0
"""How long one statement may take: a mutation writes whole parts again."""
MUTATING: Settings = {
    "allow_nondeterministic_mutations": 1,  # a subquery asks the replica's own rows, which is meant
    "distributed_ddl_task_timeout": int(ANSWER_SECONDS),
    "mutations_sync": 2,
}
CURRENT: Settings = {"final": 1}
_WITHOUT = "arrayFilter(one -> one NOT IN ({values}), {column})"
_ZERO = f"toUUID({literal(ZERO_UUID)})"


@dataclass(frozen=True, slots=True)
class At:
    """One server or cluster, or the engine in this process, that holds rows of its own."""

    engine: Engine
    form: Place


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
            with _translated(at.engine):
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
    if settings.server is None and not await asyncio.to_thread(Path(settings.context).exists):
        raise QueryError(f"{settings.context}: no such folder; nothing has been stored there yet")
    async with AsyncExitStack() as stack:
        store: Store | None = as_store(sink) if sink else None
        if store is None:
            store = await stack.enter_async_context(to_ask(settings))
        places = [await stack.enter_async_context(_at(place)) for place in _places(settings)]
        yield ClickHousePersons(store, places)


def _places(settings: SinkSettings) -> Sequence[SinkSettings]:
    """One for each set of rows, with its own folder to hand over by."""
    own = replace(settings, handover=settings.handover.with_name(f"{settings.handover.name}-erase"))
    server = settings.server
    if server is None or server.cluster:
        return [own]
    return [replace(own, server=replace(server, hosts=(host,))) for host in server.hosts]


@asynccontextmanager
async def _at(settings: SinkSettings) -> AsyncIterator[At]:
    """Open at the first host that answers. Raises QueryError."""
    failure = QueryError(f"{settings.name} has no host")
    for number in range(len(settings.server.hosts) if settings.server else 1):
        engine = engine_of(settings, number, ANSWER_SECONDS)
        try:
            with _translated(engine):
                await engine.open()
                await engine.ask("SELECT 1", anywhere=True)
        except QueryError as error:
            await engine.close()
            failure = error
            continue
        try:
            yield At(engine, Place(engine.database, layout_of(settings).cluster))
        finally:
            await engine.close()
        return
    raise failure


async def _asked(at: At, sql: str, settings: Settings) -> Sequence[Sequence[Any]]:
    with _translated(at.engine):
        return (await at.engine.ask(sql, settings)).rows


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    """What an engine says, without any value of a statement."""
    try:
        yield
    except Complaint as error:
        raise QueryError(f"clickhouse {engine.place}: {name_of(error)}") from None
    except Unreachable as error:
        raise QueryError(f"clickhouse {engine.place}: {error.reason}") from None
