"""A store and a spool for tests of lookups: rows in memory, away or slow when a test wants it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson

from tracker.errors import QueryError
from tracker.records.rows import key_of, version_of, whole
from tracker.tables import CATALOGUE

Row = dict[str, Any]


class Shelf:
    """Answers `find` as a store does; `asked` has the values of every question."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, ...], Row] = {}
        self.asked: list[list[str]] = []
        self.is_away = False
        self.answering = asyncio.Event()
        self.answering.set()

    def put(self, table: str, row: Row) -> None:
        found = whole(CATALOGUE[table], row)
        own = (table, *key_of(CATALOGUE[table], found))
        known = self.rows.get(own)
        if known is None or version_of(CATALOGUE[table], known) <= version_of(CATALOGUE[table], found):
            self.rows[own] = found

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[Row]:
        self.asked.append([value for values in where.values() for value in values])
        await self.answering.wait()
        if self.is_away:
            raise QueryError("away")
        return [
            row
            for (its_table, *_), row in self.rows.items()
            if its_table == table and all(str(row[name]) in values for name, values in where.items())
        ][:limit]


class Waits:
    """Rows that wait for the shelf."""

    def __init__(self, *rows: Row) -> None:
        self.held = [orjson.dumps(row) for row in rows]
        self.readable = asyncio.Event()
        self.readable.set()

    async def lines(self, table: str, needles: Sequence[bytes] = ()) -> AsyncIterator[Sequence[bytes]]:
        await self.readable.wait()
        yield [line for line in self.held if not needles or any(needle in line for needle in needles)]

    async def is_empty(self, table: str) -> bool:
        return not self.held
