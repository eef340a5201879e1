"""One sink's view of the spool, as delivery works from it: `contract.BatchQueue` on the batcher's threads."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, Protocol, TypeVar

from tracker.batching.contract import Mended, Sealed, Verdicts, Waiting
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.spool import Spool
from tracker.errors import CannotStore
from tracker.events import Batch

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Protocol):
    """What this needs of the batcher."""

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run on the writer's thread."""

    def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
        """Run on the reader's thread."""

    def waiting(self, sink: str, table: str) -> Waiting | None:
        """What waits of a table for a sink."""


class SinkQueue:
    """A batch whose sealing or splitting was cancelled on the way is not lost: `seal` hands it out again."""

    def __init__(self, threads: Threads, spool: Spool, sink: str, clock: Callable[[], float]) -> None:
        self._threads = threads
        self._spool = spool
        self._sink = sink
        self._clock = clock

    def waiting(self, table: str) -> Waiting | None:
        """What waits of this table, None when nothing does."""
        return self._threads.waiting(self._sink, table)

    def tables(self) -> list[str]:
        """Tables that have anything waiting or sealed for this sink."""
        memory = self._spool.memory
        waiting = [
            key[1] for key, backlog in memory.backlogs.copy().items() if key[0] == self._sink and backlog.rows
        ]
        sealed = [held.sealed.table for held in memory.held.copy().values() if held.sealed.sink == self._sink]
        return sorted({*waiting, *sealed})

    async def unfinished(self) -> list[Sealed]:
        """Batches sealed earlier and not finished, oldest rows first in each table."""
        return await self._owned(self._threads.call(self._spool.unfinished, self._sink), list)

    async def seal(self, table: str, max_rows: int, max_bytes: int) -> Sealed | None:
        """Cut the oldest waiting rows into a batch; None when nothing waits."""
        work = self._threads.call(self._spool.seal, self._sink, table, max_rows, max_bytes, self._clock())
        return await self._owned(work, _one)

    async def begin(self, sealed: Sealed) -> Sealed | None:
        """The batch as it is to be sent now; None when nothing is left of it."""
        return await self._owned(self._threads.call(self._spool.begin, sealed), _one)

    async def load(self, sealed: Sealed) -> Batch:
        """The batch's bytes, the same at each call."""
        return await self._threads.read(self._spool.load, sealed)

    async def mend(self, sealed: Sealed) -> Mended:
        """Leave out of a batch that cannot be loaded what is damaged of it."""
        try:
            lost = await self._threads.read(self._spool.changed_rows, sealed)
        except SpoolDamaged:
            lost = frozenset()
        if not lost:
            return Mended(None, 0)
        left = await self._owned(self._threads.call(self._spool.give_up, sealed, lost), _one)
        return Mended(left, sealed.rows - (left.rows if left else 0))

    async def finish(self, sealed: Sealed) -> None:
        """The sink has it."""
        await self._threads.call(self._spool.finish, sealed)

    async def reject(self, sealed: Sealed, reasons: Mapping[int, str]) -> Sealed | None:
        """Put rows aside by position and seal the rest as a child; None when no row is left."""
        return await self._owned(self._threads.call(self._spool.reject, sealed, reasons, self._clock()), _one)

    async def halve(self, sealed: Sealed) -> tuple[Sealed, Sealed]:
        """Replace a batch of at least two rows by two sealed children."""
        return await self._owned(self._threads.call(self._spool.halve, sealed, self._clock()), list)

    async def verdicts(self, table: str) -> Verdicts:
        """The sink's last verdicts on this table's rows."""
        return await self._threads.read(self._spool.verdicts, self._sink, table)

    async def forgive(self, table: str) -> None:
        """Forget these verdicts."""
        await self._threads.call(self._spool.forgive, self._sink, table)

    async def _owned(self, work: "asyncio.Future[T]", batches: Callable[[T], Sequence[Sealed]]) -> T:
        def give_back(done: "asyncio.Future[T]") -> None:
            if done.exception() is None:
                self._give_back(batches(done.result()))

        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(give_back)
            raise

    def _give_back(self, batches: Sequence[Sealed]) -> None:
        try:
            self._threads.call(self._spool.give_back, batches)
        except CannotStore:
            return  # closing: the next start hands out what is sealed


def _one(sealed: Sealed | None) -> list[Sealed]:
    return [] if sealed is None else [sealed]
