"""The one way to a sink: a slot, the breaker's leave, an open sink, a write that ends in bounded time.

It judges what each call says about the sink as a whole. What a batch is, when it is due and what becomes of
it after a failure is `lane`'s business.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tracker.batching.breaker import Breaker, BreakerSettings, BreakerState
from tracker.batching.limiter import Slot, Slots
from tracker.batching.signal import Signal
from tracker.errors import BatchRejected, CannotStore, RowsRejected, SchemaMismatch, SinkUnavailable
from tracker.events import Batch
from tracker.metrics import Metrics
from tracker.sinks.base import Sink

logger = logging.getLogger(__name__)
T = TypeVar("T")


class SinkBug(Exception):
    """A sink did what its contract has no word for, so that it would be taken for something else."""


class NoAnswer(SinkUnavailable):
    """A call did not end in time; its outcome is unknown."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Bounds in time of what a sink may do."""

    write_timeout_seconds: float = 60.0
    """A write or an opening that takes longer counts as hung; its outcome is unknown."""
    close_timeout_seconds: float = 2.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


@dataclass(frozen=True, slots=True)
class Sent:
    """A write that took effect."""

    rows: int
    bytes: int
    seconds: float


class Gate:
    """One sink, for one event loop. `steady` is a steady clock, `random` gives numbers from 0 to 1."""

    def __init__(
        self,
        sink: Sink,
        settings: GateSettings,
        metrics: Metrics,
        *,
        random: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self.sink = sink
        self.slots = Slots(sink.parallel)
        self.breaker = Breaker(settings.breaker)
        self.is_open = False
        self.last_error: str | None = None
        self.trouble: str | None = None
        """`last_error` in a few words that anybody may see."""
        self._settings = settings
        self._random = random
        self._steady = steady
        self._opened = metrics.breaker_opened.labels(sink.name)
        self._write_seconds = metrics.write_seconds
        self._opening = asyncio.Lock()
        self._changed = Signal()
        self._calls: set[asyncio.Task[Any]] = set()
        self._given_up: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Calls of the sink that have not ended, given up ones included."""
        return len(self._calls)

    async def send(self, priority: int, fetch: Callable[[], Awaitable[Batch | None]]) -> Sent | None:
        """Write the batch that `fetch` gives once the sink can take one; None when there was none.

        Raises what the sink raises, and SinkUnavailable for a call that did not end in time.
        """

        async def work(slot: Slot) -> Sent | None:
            await self._be_open(slot)
            batch = await fetch()
            return None if batch is None else await self._write(slot, batch)

        return await self._pass(priority, work)

    async def open(self) -> None:
        """Open the sink unless it is open. Raises SinkUnavailable."""
        await self._pass(0, self._be_open)
        self.last_error = self.trouble = None

    async def recovery(self, seconds: float) -> None:
        """Wait this long, or until the breaker closes if that is sooner."""
        deadline = self._steady() + seconds
        was_away = self.breaker.state is not BreakerState.CLOSED
        while (left := deadline - self._steady()) > 0:
            await self._changed.wait(left)
            is_away = self.breaker.state is not BreakerState.CLOSED
            if was_away and not is_away:
                return
            was_away = is_away

    async def close(self) -> None:
        """Close the sink, within a bound. Nothing may be sent at the same time."""
        closing = asyncio.create_task(_contained(self.sink.close, "close"))
        await asyncio.wait({closing}, timeout=self._settings.close_timeout_seconds)
        self.is_open = False
        if not closing.done():
            self._given_up.add(closing)
            closing.add_done_callback(self._ended)
            closing.cancel()
            logger.warning("sink did not close in time", extra={"fields": {"sink": self.sink.name}})
        elif not closing.cancelled() and (error := closing.exception()) is not None:
            logger.error("sink failed to close", exc_info=error, extra={"fields": {"sink": self.sink.name}})

    async def _pass(self, priority: int, work: Callable[[Slot], Awaitable[T]]) -> T:
        slot = await self.slots.take(priority)
        try:
            permit = await self._permit()
            return await self._judged(permit, slot, work)
        finally:
            slot.leave()

    async def _permit(self) -> int:
        while (wait := self.breaker.permits_in(self._steady())) != 0:
            await self._changed.wait(wait)
        self._become(self.breaker.admitted(self._steady()))
        return self.breaker.generation

    async def _judged(self, permit: int, slot: Slot, work: Callable[[Slot], Awaitable[T]]) -> T:
        try:
            result = await work(slot)
        except SinkUnavailable as error:
            self._unavailable(permit, error)
            raise
        except (RowsRejected, BatchRejected, SchemaMismatch):
            self._answered(permit)
            raise
        except BaseException:  # says nothing about the sink: a probe must be taken back, whatever ended it
            self._become(self.breaker.abandoned(permit, self._steady()))
            raise
        if isinstance(result, Sent):
            self._well(permit)
        else:
            self._become(self.breaker.abandoned(permit, self._steady()))
        return result

    def _well(self, permit: int) -> None:
        self.slots.succeeded()
        self._answered(permit)

    def _answered(self, permit: int) -> None:
        self.last_error = self.trouble = None
        self._become(self.breaker.succeeded(permit))

    def _unavailable(self, permit: int, error: SinkUnavailable) -> None:
        is_overload = error.is_connection or error.retry_after_seconds is not None
        if is_overload:
            self.slots.overloaded()
        if not error.is_connection:
            self._answered(permit)
            return
        self.last_error = error.reason
        self.trouble = "no answer in time" if isinstance(error, NoAnswer) else "unavailable"
        self.is_open = False
        self._become(self.breaker.failed(permit, self._steady(), self._random()))

    def _become(self, breaker: Breaker) -> None:
        before, self.breaker = self.breaker.state, breaker
        if breaker.state is before:
            return
        self._changed.fire()
        if breaker.openings and breaker.state is BreakerState.OPEN and breaker.open_until > self._steady():
            self._opened.inc()
            self._say(logging.WARNING, "breaker opened", reason=self.last_error)
        elif breaker.state is BreakerState.CLOSED:
            self._say(logging.INFO, "breaker closed")

    def _say(self, level: int, message: str, **fields: object) -> None:
        logger.log(level, message, extra={"fields": {"sink": self.sink.name, **fields}})

    async def _be_open(self, slot: Slot) -> None:
        async with self._opening:
            if not self.is_open:
                await self._bounded(slot, self.sink.open, "open")
                self.is_open = True

    async def _write(self, slot: Slot, batch: Batch) -> Sent:
        started = self._steady()
        try:
            await self._bounded(slot, lambda: self.sink.write(batch), "write")
        finally:
            seconds = self._steady() - started
            self._write_seconds.labels(self.sink.name, batch.table).observe(seconds)
        return Sent(batch.rows, len(batch.data), seconds)

    async def _bounded(self, slot: Slot, call: Callable[[], Awaitable[object]], verb: str) -> None:
        """Await a call of the sink without ever being held by it: a hung one keeps its slot, nothing else."""
        task = asyncio.create_task(_contained(call, verb))
        slot.share(task)
        self._calls.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=self._settings.write_timeout_seconds)
        finally:
            if not task.done():
                self._give_up(task)
        if not task.done():
            seconds = self._settings.write_timeout_seconds
            raise NoAnswer(f"no answer to {verb} within {seconds:g} seconds")
        if task.cancelled():
            raise SinkUnavailable(f"the driver gave up its {verb}")
        task.result()

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        self._given_up.add(task)
        task.cancel()
        grace = self._settings.close_timeout_seconds
        asyncio.get_running_loop().call_later(grace, self._shake_off, task, logging.ERROR)

    def _shake_off(self, task: asyncio.Task[Any], level: int) -> None:
        """Close the sink when all it does is hold slots for calls that ignore being cancelled; look again
        for as long as such a call lasts."""
        if task.done():
            return
        if self._calls <= self._given_up and self._closing is None:
            self._say(level, "sink is stuck, closing it")
            level = logging.DEBUG
            self._closing = asyncio.create_task(self.close())
            self._closing.add_done_callback(self._closed)
        again = max(self._settings.write_timeout_seconds, self._settings.close_timeout_seconds)
        asyncio.get_running_loop().call_later(again, self._shake_off, task, level)

    def _closed(self, _: asyncio.Task[None]) -> None:
        self._closing = None

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        error = None if task.cancelled() else task.exception()  # looked at, whoever else may have left
        if task in self._given_up:
            self._given_up.discard(task)
            if error is not None:
                logger.debug("a call that was given up has failed", exc_info=error)


async def _contained(call: Callable[[], Awaitable[object]], verb: str) -> None:
    """A call of the sink that ends as the contract says, or in an ordinary error."""
    try:
        answer = await call()
    except CannotStore as error:  # is the spool's word: the lane would wait for the disk
        raise SinkBug(f"{verb} raised {type(error).__name__}") from error
    except (Exception, asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:  # would end the loop or the lane
        raise SinkBug(f"{verb} raised {type(error).__name__}") from error
    if answer is not None:  # perhaps an error, or a call that was never awaited: not known to have worked
        raise SinkBug(f"{verb} returned {type(answer).__name__}")
