"""One person's rows in a store: found, counted and erased. What every store has in common, and the contract.

Which rows are meant is `tracker.tables.persons`'s business. Views follow their tables by themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, Protocol, cast

from tracker.sinks.base import Sink, Store
from tracker.sinks.registry import ERASERS, SinkSettings
from tracker.tables import CATALOGUE, ZERO_UUID, Kind
from tracker.tables.persons import (
    EHASH,
    MENTIONS,
    USER,
    VISITOR,
    Person,
    columns_of,
    condition,
    is_of,
    listed,
    mention_condition,
)

ASK_SECONDS = 600.0
MOST_IDS = 100_000
MOST_ROWS = 100_000
"""Of one table, that an export can have."""


class PersonStore(Protocol):
    """One store, as far as persons go. Every method raises QueryError, also when the store is away."""

    async def visitors(self, users: Collection[str], ehashes: Collection[str]) -> set[str]:
        """Visitors that were seen as one of these users, or with one of these e-mail hashes."""

    async def counts(self, person: Person) -> dict[str, int]:
        """Rows that are the person's or name it, by table; tables with none are left out."""

    async def erase(self, person: Person) -> None:
        """Delete the person's rows, and the person's name from others; done when it returns."""

    def rows(self, person: Person) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Table and row, of every row that is the person's."""


def eraser(settings: SinkSettings, sink: Sink | None) -> AbstractAsyncContextManager[PersonStore]:
    """The store of a service in ERASERS; `sink` is the one that this process has open, None when none has.

    Entering raises QueryError.
    """
    module = import_module(ERASERS[settings.service])
    return cast(AbstractAsyncContextManager[PersonStore], module.eraser(settings, sink))


class PersonRows(ABC):
    """What stores have in common; a store brings how it is asked and how it changes rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @abstractmethod
    async def ask(self, sql: str) -> Sequence[Sequence[Any]]:
        """The rows of a SELECT over current rows, of all places together."""

    @abstractmethod
    async def change(self, table: str, gone: str, person: Person) -> None:
        """Delete the rows for which `gone` is true ('' for none), take the person's name out of others."""

    @staticmethod
    @abstractmethod
    def has(column: str, value: str) -> str:
        """SQL: this column of UUIDs has this one, a literal."""

    async def visitors(self, users: Collection[str], ehashes: Collection[str]) -> set[str]:
        """As `PersonStore.visitors`."""
        found = set[str]()
        for table in ("userhosts", "events") if users else ():
            found |= await self._distinct(VISITOR, table, USER, users)
        if ehashes:
            found |= await self._distinct(VISITOR, "emails", EHASH, ehashes)
        return found

    async def counts(self, person: Person) -> dict[str, int]:
        """As `PersonStore.counts`."""
        counts = {}
        for table in person.tables():
            parts = [condition(person, table), mention_condition(person, table, self.has)]
            if where := " OR ".join(part for part in parts if part):
                ((rows,),) = await self.ask(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 (names of ours)
                if int(rows):
                    counts[table] = int(rows)
        return counts

    async def erase(self, person: Person) -> None:
        """As `PersonStore.erase`."""
        for table in await self.concerned(person):
            await self.change(table, condition(person, table), person)

    async def concerned(self, person: Person) -> list[str]:
        """Tables in which there is something to do."""
        return list(await self.counts(person))

    async def rows(self, person: Person) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """As `PersonStore.rows`."""
        for table in person.tables():
            kinds, seen = CATALOGUE[table].kinds(), set[tuple[str, ...]]()
            by = {VISITOR: person.visitors | person.known, USER: person.users, EHASH: person.ehashes}
            for column, values in by.items():
                if column not in kinds or not values:
                    continue
                for row in await self._store.find(table, {column: sorted(values)}, limit=MOST_ROWS):
                    key = tuple(str(row[name]) for name in CATALOGUE[table].key)
                    if key not in seen and is_of(person, table, row):
                        seen.add(key)
                        yield table, row

    async def _distinct(self, wanted: str, table: str, column: str, values: Collection[str]) -> set[str]:
        sql = f"SELECT DISTINCT {wanted} FROM {table} WHERE {column} IN ({listed(values)})"  # noqa: S608 (names of ours)
        return {str(row[0]) for row in await self.ask(f"{sql} LIMIT {MOST_IDS}")} - {ZERO_UUID, ""}


def emptied(person: Person, table: str, without: str, zero: str) -> str:
    """The assignments of an UPDATE that takes the person's name out of a row; '' for a table without such.

    `without` is SQL for a list of UUIDs `{column}` without `{values}`, `zero` for the zero UUID.
    """
    values = listed(person.ids)
    made = []
    for name, kind in columns_of(table).items():
        if name in MENTIONS:
            left = f"CASE WHEN {name} IN ({values}) THEN {zero} ELSE {name} END"
            made.append(
                f"{name} = {without.format(column=name, values=values) if kind is Kind.UUIDS else left}"
            )
    return ", ".join(made)
