"""The real queue with faults put in front of or behind its steps."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from tracker.batching.contract import BatchQueue, Mended, Sealed, Verdicts, Waiting
from tracker.errors import CannotStore
from tracker.events import Batch

T = TypeVar("T")
FULL = CannotStore("disk full")


class FaultyQueue:
    """Counts the steps of the queue it wraps; may refuse them by name, or hang for good at one of them."""

    def __init__(self, inner: BatchQueue) -> None:
        self.inner = inner
        self.steps = 0
        self.failures: dict[str, list[Exception]] = defaultdict(list)
        """Raised by the step of that name, once each, before it does anything."""
        self.stops_before = 0
        self.stops_after = 0
        """The step of this number (1 is the first) never answers: before or after it was done."""
        self.stops_before_name = ""
        """The first step of this name never answers."""
        self.stopped = asyncio.Event()

    def waiting(self, table: str) -> Waiting | None:
        return self.inner.waiting(table)

    def tables(self) -> list[str]:
        return self.inner.tables()

    async def unfinished(self) -> list[Sealed]:
        return await self._step("unfinished", self.inner.unfinished)

    async def seal(self, table: str, max_rows: int, max_bytes: int) -> Sealed | None:
        return await self._step("seal", partial(self.inner.seal, table, max_rows, max_bytes))

    async def begin(self, sealed: Sealed) -> Sealed | None:
        return await self._step("begin", partial(self.inner.begin, sealed))

    async def load(self, sealed: Sealed) -> Batch:
        return await self._step("load", partial(self.inner.load, sealed))

    async def mend(self, sealed: Sealed) -> Mended:
        return await self._step("mend", partial(self.inner.mend, sealed))

    async def finish(self, sealed: Sealed) -> None:
        await self._step("finish", partial(self.inner.finish, sealed))

    async def reject(self, sealed: Sealed, reasons: Mapping[int, str]) -> Sealed | None:
        return await self._step("reject", partial(self.inner.reject, sealed, reasons))

    async def halve(self, sealed: Sealed) -> tuple[Sealed, Sealed]:
        return await self._step("halve", partial(self.inner.halve, sealed))

    async def verdicts(self, table: str) -> Verdicts:
        return await self._step("verdicts", partial(self.inner.verdicts, table))

    async def forgive(self, table: str) -> None:
        await self._step("forgive", partial(self.inner.forgive, table))

    async def _step(self, name: str, step: Callable[[], Awaitable[T]]) -> T:
        self.steps += 1
        number = self.steps
        if self.failures[name]:
            raise self.failures[name].pop(0)
        if number == self.stops_before or name == self.stops_before_name:
            await self._stop()
        result = await step()
        if number == self.stops_after:
            await self._stop()
        return result

    async def _stop(self) -> None:
        self.stopped.set()
        await asyncio.Event().wait()
