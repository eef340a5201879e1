"""The current row of a key: from memory, from what this instance acknowledged, else from the store.

A row that was written here is answered at once and for as long as the store does not have it, also after a
restart. What others wrote is seen `FRESH_SECONDS` after it came into the store: rows that are asked for are
asked anew in the background, so that nobody waits for them. Questions are gathered: while one is under way,
all keys that are asked for join the next, however many ask.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import orjson

from tracker.errors import QueryError, RecordsUnavailable, TrackerError
from tracker.records.memory import UNKNOWN, Memory, Unknown
from tracker.records.ports import Finder, Row, WaitingRows
from tracker.records.rows import key_of, newest, whole
from tracker.records.settling import KEYS_AT_ONCE, MOST_ROWS, Settling
from tracker.tables import CATALOGUE

__all__ = ["UNKNOWN", "Lookup", "Unknown"]

log = logging.getLogger(__name__)

AWAY_SECONDS = 1.0
"""How long a store that failed is left alone."""
MOST_ENTRIES = 100_000
MOST_PENDING_BYTES = 32 * 1024 * 1024
"""Of rows that the store need not have yet, as JSON with 800 bytes more each: 25,000 short links and more."""
LOAD_SECONDS = 5.0
"""How long a question waits at the start until it is known what waits in the spool."""
_LINES_AT_ONCE = 200


class Lookup:
    """Current rows of one table by one of its columns; used from one event loop.

    Without a store only what is pending is known. `clock` gives seconds that never go back. Keys are texts in
    the form in which rows have them. Of several rows of the table with the same key the newest is the answer.
    """

    def __init__(
        self,
        table: str,
        key_column: str,
        store: Finder | None,
        waiting: WaitingRows | None = None,
        *,
        most_entries: int = MOST_ENTRIES,
        most_pending_bytes: int = MOST_PENDING_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = CATALOGUE[table]
        self._column = key_column
        self._store = store
        self._waiting = waiting
        self._clock = clock
        self._memory = Memory(self._table, key_column, most_entries, most_pending_bytes)
        self._pending = self._memory.pending
        self._settling = Settling(self._memory, self._table.name, key_column, store, waiting, clock)
        self._waiters: dict[str, asyncio.Future[Row | None]] = {}
        self._stale: dict[str, None] = {}
        self._asker: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._away_until = 0.0

    @property
    def table(self) -> str:
        """Its name."""
        return self._table.name

    async def start(self) -> None:
        """Begin to take up what waits in the spool; `get` and `rows` wait for that."""
        self._loading = asyncio.create_task(self._load())
        self._sweeper = asyncio.create_task(self._settling.run())

    async def _load(self) -> None:
        while self._waiting is not None:
            try:
                async for lines in self._waiting.lines(self._table.name):
                    await self._keep(lines)
            except TrackerError as error:
                fields = {"table": self._table.name, "reason": str(error)}
                log.warning("waiting rows cannot be read", extra={"fields": fields})
                await asyncio.sleep(AWAY_SECONDS)
            else:
                return

    async def _keep(self, lines: Sequence[bytes]) -> None:
        for number, row in enumerate(_rows(lines), 1):
            self._pending.keep(row)
            if number % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)  # requests that need none of this must not wait for it

    async def _loaded(self) -> None:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                if self._loading is not None:
                    await asyncio.shield(self._loading)
        except TimeoutError as error:
            raise RecordsUnavailable("what waits is still being read") from error

    async def close(self) -> None:
        """End what runs in the background; who waits is told that nothing is known. Safe twice."""
        tasks = [task for task in (self._asker, self._sweeper, self._loading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._give_no_answer(list(self._waiters))

    def peek(self, key: str) -> Row | Unknown | None:
        """The current row, None when there is none, UNKNOWN when it would have to be waited for."""
        answer, is_stale = self._memory.answer(key, self._clock())
        if is_stale:
            self._ask_later(key)
        return answer

    async def get(self, key: str) -> Row | None:
        """The current row, None when there is none. Raises RecordsUnavailable when that cannot be known."""
        known = self.peek(key)
        if not isinstance(known, Unknown):
            return known
        if self._loading is not None and not self._loading.done():
            await self._loaded()
            return await self.get(key)
        waiter = self._waiters.get(key)
        if waiter is None:
            waiter = self._waiters[key] = asyncio.get_running_loop().create_future()
            waiter.add_done_callback(_noticed)
            self._go_on()
        return await asyncio.shield(waiter)

    async def rows(self, where: Mapping[str, Sequence[str]], limit: int = 1000) -> list[Row]:
        """The current rows in which every named column equals one of its values, what waits included.

        In no order. `limit` bounds what the store has. Raises RecordsUnavailable when it cannot be asked.
        """
        await self._loaded()
        waiting = [row for row in self._pending.rows() if _matches(row, where)]
        if self._pending.lost:
            waiting += [row for row in await self._read_waiting(()) if _matches(row, where)]
        if self._store is None:
            raise RecordsUnavailable("no store can be asked")
        try:
            found = await self._store.find(self._table.name, where, limit=limit)
        except QueryError as error:
            raise RecordsUnavailable("the store cannot be asked now") from error
        current: dict[tuple[str, ...], Row] = {}
        for row in (*found, *waiting):
            own = key_of(self._table, row)
            current[own] = newest(self._table, current.get(own), row) or row
        return list(current.values())

    def wrote(self, row: Row) -> None:
        """A row is durable, and from now on the answer, unless a newer one is known."""
        self._memory.wrote(row, self._clock())

    def forget(self, key: str) -> None:
        """What is known of this key is not true any more; the store is asked when it is asked for next."""
        self._memory.forget(key)

    def _ask_later(self, key: str) -> None:
        if self._store is not None and len(self._stale) < MOST_ROWS and self._clock() >= self._away_until:
            self._stale[key] = None
            self._go_on()

    def _go_on(self) -> None:
        if self._asker is None or self._asker.done():
            self._asker = asyncio.create_task(self._ask_on())

    async def _ask_on(self) -> None:
        """Ask until nobody waits for anything; those who wait go before what is only stale."""
        await asyncio.sleep(0)  # what this turn of the loop still asks for joins
        while self._waiters or self._stale:
            keys = [*self._waiters, *(key for key in self._stale if key not in self._waiters)][:KEYS_AT_ONCE]
            for key in keys:
                self._stale.pop(key, None)
            try:
                await self._ask_for(keys)
            except RecordsUnavailable:
                self._give_no_answer(keys)
            except Exception:  # nobody awaits this task: a bug must show up here or nowhere
                log.exception("rows could not be looked up", extra={"fields": {"table": self._table.name}})
                self._give_no_answer(keys)

    async def _ask_for(self, keys: Sequence[str]) -> None:
        """Ask spool and store, in this order: a row goes from the one to the other, never back."""
        lost = [key for key in keys if self._pending.may_have_lost(key)] if self._pending.lost else []
        waiting = await self._read_waiting(lost) if lost else []
        try:
            found = await self._find(keys)
        except RecordsUnavailable:
            known = {str(row[self._column]) for row in waiting}.intersection(keys)
            self._tell(self._memory.learn(sorted(known), waiting, self._clock()))
            raise
        self._pending.settle(found)
        self._tell(self._memory.learn(keys, [*found, *waiting], self._clock()))

    async def _find(self, keys: Sequence[str]) -> Sequence[Row]:
        if self._store is None or self._clock() < self._away_until:
            raise RecordsUnavailable("the store cannot be asked now")
        try:
            return await self._store.find(self._table.name, {self._column: keys}, limit=MOST_ROWS)
        except QueryError as error:
            self._away_until = self._clock() + AWAY_SECONDS
            log.debug("store not asked", extra={"fields": {"table": self._table.name}})
            raise RecordsUnavailable("the store cannot be asked now") from error

    async def _read_waiting(self, keys: Sequence[str]) -> list[Row]:
        """Rows that wait of these keys, of all keys when none is given. Raises RecordsUnavailable."""
        if self._waiting is None:
            return []
        rows = []
        try:
            async for lines in self._waiting.lines(self._table.name, [_as_written(key) for key in keys]):
                rows += [whole(self._table, row) for row in _rows(lines)]
        except TrackerError as error:
            raise RecordsUnavailable("the spool cannot be read now") from error
        return rows

    def _tell(self, answers: Mapping[str, Row | None]) -> None:
        for key, row in answers.items():
            waiter = self._waiters.pop(key, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(row)

    def _give_no_answer(self, keys: Sequence[str]) -> None:
        """What is known stays known; who waits for anything else is told that it cannot be known now."""
        self._memory.stay(keys, self._clock())
        for key in keys:
            waiter = self._waiters.pop(key, None)
            if waiter is not None and not waiter.done():
                waiter.set_exception(RecordsUnavailable("the store cannot be asked now"))


def _rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """The lines that are objects; the store will refuse others."""
    for line in lines:
        with suppress(ValueError):
            row = orjson.loads(line)
            if isinstance(row, dict):
                yield row


def _as_written(key: str) -> bytes:
    """The key as a line of JSON has it."""
    return orjson.dumps(key.encode("utf-8", "replace").decode("utf-8"))


def _matches(row: Row, where: Mapping[str, Sequence[str]]) -> bool:
    return all(str(row[name]) in values for name, values in where.items())


def _noticed(waiter: "asyncio.Future[Row | None]") -> None:
    """Whoever waited may have gone; then nobody else asks how it ended."""
    if not waiter.cancelled():
        waiter.exception()
