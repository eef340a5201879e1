"""Group commit: everything that arrives while one commit is on its way to the disk joins the next.

Async face of the spool. It owns the thread that writes and the one that reads; how rows are stored is the
spool's business, when batches go is delivery's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

from tracker.batching.arrival import ArrivalRate
from tracker.batching.contract import BatchQueue, Waiting
from tracker.batching.dead_letters import NOT_EDITED, DeadFilter
from tracker.batching.sink_queue import SinkQueue
from tracker.batching.spool import Spool
from tracker.batching.spool_values import SpoolState, Stored
from tracker.batching.totals import Total
from tracker.batching.worker import Outcome, Worker
from tracker.errors import CannotStore
from tracker.events import Entry
from tracker.metrics import Metrics

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TOO_MUCH_WAITING = "too much waiting for the disk"
CLOSING = "closing"
SPOOL_BUG = "spool failed"
SPACING_SECONDS = 0.002
"""From the start of a commit to that of the next: each costs about 0.4 ms of a core,
however many entries share it."""
GROUP_BYTES = 8 * 1024 * 1024
PROBE_SECONDS = 0.25
_ENTRY_OVERHEAD_BYTES = 256

Arrival = Callable[[Iterable[str]], None]


class _Waiter(NamedTuple):
    future: "asyncio.Future[int]"
    entries: Sequence[Entry]
    size: int


class Batcher:
    """Made on the event loop that uses it; every method belongs to that loop. `max_memory_bytes` bounds what
    waits for the disk."""

    def __init__(
        self, spool: Spool, *, max_memory_bytes: int, clock: Callable[[], float], metrics: Metrics
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._spool = spool
        self._max_bytes = max_memory_bytes
        self._clock = clock
        self._metrics = metrics
        self._waiters: list[_Waiter] = []
        self._bytes = 0
        self._is_committing = False
        self._is_scheduled = False
        self._is_closing = False
        self._last_start = 0.0
        self._rest: asyncio.Future[None] | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._end: asyncio.Task[None] | None = None
        self._arrivals: list[Arrival] = []
        self._rates: dict[str, ArrivalRate] = {}
        self._writer = Worker("spool-writer", self._do_chore)
        self._reader = Worker("spool-reader")

    async def add(self, entries: Sequence[Entry]) -> int:
        """Return when these are durable: how many of them were retries, acknowledged and not stored again.

        Entries of one call are stored together or not at all. Raises CannotStore.
        """
        if self._is_closing:
            raise CannotStore(CLOSING)
        size = _ENTRY_OVERHEAD_BYTES * len(entries)
        for entry in entries:
            for row in entry.rows:
                size += len(row.line)
        if self._bytes + size > self._max_bytes and self._bytes:
            self._metrics.commit_failures.labels(TOO_MUCH_WAITING).inc()
            raise CannotStore(TOO_MUCH_WAITING)
        future: asyncio.Future[int] = self._loop.create_future()
        self._bytes += size
        self._waiters.append(_Waiter(future, entries, size))
        if not self._is_committing and not self._is_scheduled:
            self._gather()
        return await future

    def _gather(self) -> None:
        """Have the next commit start: now, with what this turn of the loop still brings, or a moment after
        the one before, so that under load a commit is shared by many."""
        self._is_scheduled = True
        wait = self._last_start + SPACING_SECONDS - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self._start)
        else:
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._is_scheduled = False
        if self._is_committing or not self._waiters:
            return
        self._is_committing = True
        self._last_start = self._loop.time()
        group = self._next_group()
        entries = [entry for waiter in group for entry in waiter.entries]
        self._writer.post(partial(self._commit, entries), partial(self._committed, group))

    def _next_group(self) -> list[_Waiter]:
        waiters = self._waiters
        taken, size = 0, 0
        if self._bytes <= GROUP_BYTES:
            taken = len(waiters)
        while taken < len(waiters) and (not taken or size + waiters[taken].size <= GROUP_BYTES):
            size += waiters[taken].size
            taken += 1
        group, self._waiters = waiters[:taken], waiters[taken:]
        return group

    def _commit(self, entries: Sequence[Entry]) -> tuple[Stored, float]:
        started = time.perf_counter()
        stored = self._spool.commit(entries, self._clock())
        return stored, time.perf_counter() - started

    def _committed(self, group: list[_Waiter], outcome: Outcome[tuple[Stored, float]]) -> None:
        self._is_committing = False
        self._bytes -= sum([waiter.size for waiter in group])
        if self._waiters and not self._is_scheduled:
            self._gather()
        if outcome.value is None:
            self._refuse(group, outcome.error)
        else:
            self._acknowledge(group, *outcome.value)
        if self._rest is not None and not self._is_committing and not self._rest.done():
            self._rest.set_result(None)

    def _acknowledge(self, group: list[_Waiter], stored: Stored, seconds: float) -> None:
        if stored.rows:
            self._metrics.commits.inc()
            self._metrics.commit_seconds.observe(seconds)
        retries = _retries_of(group, stored.retries) if stored.retries else [0] * len(group)
        for waiter, count in zip(group, retries, strict=True):
            if not waiter.future.done():
                waiter.future.set_result(count)
        if stored.retries:
            self._metrics.events_duplicate.inc(len(stored.retries))
        now = self._clock()
        for table, rows in stored.rows.items():
            self._rates[table] = self._rates.get(table, ArrivalRate()).arrived(rows, now)
        if stored.rows:
            self._announce(stored.rows)

    def _refuse(self, group: list[_Waiter], error: BaseException | None) -> None:
        if isinstance(error, CannotStore):
            reason, retry_after = error.reason, error.retry_after_seconds
        else:
            reason, retry_after = SPOOL_BUG, 1
            log.error("spool commit failed unexpectedly", exc_info=error)
        self._metrics.commit_failures.labels(reason).inc()
        for waiter in group:
            if not waiter.future.done():
                waiter.future.set_exception(CannotStore(reason, retry_after))
        self._probe_later()

    def _probe_later(self) -> None:
        """A failing disk must be seen to be well without a request: where readiness decides, none comes."""
        if self._probe is None and self._spool.state().failure and not self._is_closing:
            probe = partial(self._writer.post, self._spool.probe, self._probed)
            self._probe = self._loop.call_later(PROBE_SECONDS, probe)

    def _probed(self, _: Outcome[None]) -> None:
        self._probe = None
        self._probe_later()

    def _announce(self, tables: Iterable[str]) -> None:
        for callback in self._arrivals:
            callback(tables)

    def on_arrival(self, callback: Arrival) -> None:
        """Call this on the loop, with the names of the tables, after each commit that brought rows."""
        self._arrivals.append(callback)

    def queue(self, sink: str) -> BatchQueue:
        """One sink's view of the spool; the sink must be attached."""
        return SinkQueue(self, self._spool, sink, self._clock)

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run a call of the spool on the writer's thread. A cancelled future does not stop the call."""
        if self._is_closing and self._end is not None:
            raise CannotStore(CLOSING)
        return self._writer.submit(partial(work, *args, **kwargs))

    def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run a reading call of the spool on the reader's thread, beside the commits."""
        if self._is_closing and self._end is not None:
            raise CannotStore(CLOSING)
        return self._reader.submit(partial(work, *args, **kwargs))

    def waiting(self, sink: str, table: str) -> Waiting | None:
        """What of a table waits for a sink, sealed batches that delivery does not know of included."""
        memory, key = self._spool.memory, (sink, table)
        rows, size, oldest_at = memory.unclaimed.get(key, (0, 0, float("inf")))
        backlog = memory.backlogs.get(key)
        if backlog is not None and backlog.rows:
            rows, size = rows + backlog.rows, size + backlog.bytes
            oldest_at = min(oldest_at, backlog.oldest_at)
        if not rows:
            return None
        rate = self._rates.get(table)
        return Waiting(rows, size, oldest_at, rate.as_of(self._clock()) if rate else 0.0)

    async def replay(
        self, ids: Iterable[int] | None, which: DeadFilter, edited: Mapping[int, bytes] = NOT_EDITED
    ) -> int:
        """Let dead letters of these ids (None: all the filter lets through) wait again, with the lines of
        `edited` where it has one; returns the rows."""
        batches = await self.call(self._spool.replay, ids, which, self._clock(), edited)
        self._announce({sealed.table for sealed in batches})
        rows = sum(sealed.rows for sealed in batches)
        self._metrics.dead_letters_replayed.inc(rows)
        return rows

    async def totals(self) -> list[Total]:
        """Where every accepted row is, per sink and table, in one consistent view."""
        return await self.read(self._spool.totals)

    def state(self) -> SpoolState:
        """The spool as of now, without waiting for it."""
        return self._spool.state()

    @property
    def waiting_bytes(self) -> int:
        """What waits for the disk in memory."""
        return self._bytes

    async def drain(self) -> None:
        """Take nothing more; return when everything taken is on disk or refused. Batches still move."""
        self._is_closing = True
        if self._is_committing or self._waiters:
            if self._rest is None or self._rest.done():
                self._rest = self._loop.create_future()
            await asyncio.shield(self._rest)

    async def close(self) -> None:
        """Drain, then close the spool. Safe twice; delivery must be stopped before."""
        if self._end is None:
            self._is_closing = True
            self._end = asyncio.create_task(self._close())
        await asyncio.shield(self._end)

    async def _close(self) -> None:
        await self.drain()
        if self._probe is not None:
            self._probe.cancel()
        await self._writer.submit(self._release)
        self._writer.stop()

    def _release(self) -> None:
        self._reader.stop()
        self._spool.close()

    def _do_chore(self) -> bool:
        try:
            return self._spool.housekeep(self._clock())
        except CannotStore:
            self._loop.call_soon_threadsafe(self._probe_later)
            return False  # said by the spool; tried again after the next job


def _retries_of(group: list[_Waiter], positions: Sequence[int]) -> list[int]:
    """How many of these positions, counted through the whole group, fall to each of its members."""
    counts, start, retries = [], 0, set(positions)
    for waiter in group:
        end = start + len(waiter.entries)
        counts.append(len(retries.intersection(range(start, end))))
        start = end
    return counts
