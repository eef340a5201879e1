"""One table's way to one sink: cut, send, and react to what the sink says, one batch after the other.

`pacing` says when, `gate` sends, `rejections` judges; the queue makes each step durable. A batch leaves the
lane only when the sink has it or its rows are among the dead letters.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tracker.batching.adaptive import Observation
from tracker.batching.contract import BatchQueue, Sealed
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.gate import Gate, Sent, SinkBug
from tracker.batching.pacing import Pacer, Rest
from tracker.batching.rejections import HoldLimits, Rejections
from tracker.batching.retry import RetrySettings, delay_seconds
from tracker.batching.signal import Signal
from tracker.batching.snapshot import TableSnapshot
from tracker.batching.strategies import BatchSettings, strategy
from tracker.batching.tally import Stumbles, Tally
from tracker.batching.verdicts import WrongVerdict, checked
from tracker.errors import BatchRejected, CannotStore, RowsRejected, SchemaMismatch, SinkUnavailable
from tracker.events import Batch

logger = logging.getLogger(__name__)
T = TypeVar("T")
LONGEST_PROBE_SECONDS = 3600.0
"""A table that holds is tried again at least this often, whatever trying costs."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """What every lane obeys, whatever its table."""

    retry: RetrySettings = field(default_factory=RetrySettings)
    hold: HoldLimits = field(default_factory=HoldLimits)
    same_failures: int = 5
    """Identical unexpected failures in a row after which the table holds."""
    probe_seconds: float = 60.0
    """A table that holds is tried again this often."""
    probe_share: float = 0.02
    """And less often where that would take more than this share of the time."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lanes of one sink share. `clock` gives Unix seconds, `random` numbers from 0 to 1."""

    gate: Gate
    queue: BatchQueue
    settings: LaneSettings
    clock: Callable[[], float]
    random: Callable[[], float]
    progressed: Callable[[], None]
    """Called after anything that changes what is owed."""


@dataclass(frozen=True, slots=True)
class Work:
    """A sealed batch in the lane."""

    sealed: Sealed
    was_full: bool = False
    """It was cut at the strategy's row limit, so its pace teaches something."""
    was_sent: bool = False
    """An earlier attempt ended without a verdict."""
    is_begun: bool = False
    """The queue knows that it may be sent."""
    is_first_half: bool = False
    """The next in the lane is the other half of a batch that was rejected."""
    is_guilty: bool = False
    """It holds a bad row for certain (its other half holds none), so sending it whole is a waste."""


class Lane:
    """One table. Made on the event loop; `run` is its only task and ends only by being cancelled."""

    def __init__(
        self, table: str, settings: BatchSettings, max_batch_bytes: int, around: Surroundings, tally: Tally
    ) -> None:
        self.table = table
        self.held: str | None = None
        plan = strategy(settings.strategy, settings, max_batch_bytes)
        rest = Rest(around.gate.sink.rest_seconds, max_batch_bytes)
        self.pacer = Pacer(table, plan, rest, around.queue, around.clock, around.progressed)
        self._settings = settings
        self._around = around
        self._tally = tally
        self._work: deque[Work] = deque()
        self._rejections = Rejections(around.settings.hold)
        self._stumbles = Stumbles()
        self._attempts = 0
        self._is_pardoned = False
        self._is_to_forgive = False
        """The queue does not know of the release yet."""
        self._is_in_flight = False
        self._sent_at = 0.0
        self._spent_seconds = 0.0
        """What the last write took."""
        self._released = Signal()

    def resume(self, sealed: Sealed) -> None:
        """Take over a batch of an earlier process; before `run`, oldest first."""
        self._work.append(Work(sealed))

    async def run(self) -> None:
        """Deliver for ever."""
        self._rejections = Rejections.restored(
            self._around.settings.hold, await self._surely(lambda: self._around.queue.verdicts(self.table))
        )
        while True:
            try:
                await self._step()
            except (
                Exception
            ) as error:  # a bug, of the sink or ours, must not end the lane: rows would be stuck
                await self._stumble(error)

    @property
    def owes(self) -> bool:
        """Something of this table is not delivered yet.

        The queue alone cannot tell: while one of its steps is under way on another thread it is in between.
        """
        return not self.pacer.is_resting or self._around.queue.waiting(self.table) is not None

    def release(self) -> bool:
        """A person says go on: what is at hand may be put aside, however much it is. False if not held."""
        if self.held is None:
            return False
        self.held = None
        self._is_pardoned = True
        self._is_to_forgive = True
        self._rejections = self._rejections.forgotten()
        self._stumbles = Stumbles()
        self._say(logging.WARNING, "delivery of a table was released")
        self._released.fire()
        return True

    def snapshot(self) -> TableSnapshot:
        """The lane as it is now."""
        waiting = self._around.queue.waiting(self.table)
        plan, tally = self.pacer.plan, self._tally
        return TableSnapshot(
            table=self.table,
            strategy=self._settings.strategy,
            limits={"rows": plan.cut_rows, "bytes": plan.cut_bytes, "seconds": plan.seconds},
            priority=self._settings.priority,
            batches=tally.batches,
            rows=tally.rows,
            failures=tally.failures,
            dead=tally.dead,
            write_seconds=tally.write_seconds,
            waiting_rows=waiting.rows if waiting else 0,
            waiting_bytes=waiting.bytes if waiting else 0,
            oldest_at=waiting.oldest_at if waiting else None,
            sealed_rows=sum(work.sealed.rows for work in self._work),
            is_in_flight=self._is_in_flight,
            held=self.held,
            last_error=tally.last_error,
            last_success_at=tally.last_success_at,
            trouble=tally.trouble,
        )

    async def _step(self) -> None:
        if self._is_to_forgive:
            self._is_to_forgive = False
            await self._surely(lambda: self._around.queue.forgive(self.table))
        if not self._work:
            self._is_pardoned = False
            await self.pacer.until_due()
        if self._work and not self._work[0].is_begun and not await self._begin():
            return
        if self._work and self._work[0].is_guilty:
            await self._halve()
        else:
            await self._attempt()

    async def _begin(self) -> bool:
        """Take the batch at hand as it is now; False when nothing is left of it."""
        work = self._work[0]
        sealed = await self._surely(lambda: self._around.queue.begin(work.sealed))
        if sealed is None:
            self._work.popleft()
            self._around.progressed()
            return False
        self._work[0] = replace(
            work, sealed=sealed, is_begun=True, is_guilty=work.is_guilty and sealed.rows > 1
        )
        return True

    async def _attempt(self) -> None:
        try:
            sent = await self._send()
        except SinkUnavailable as error:
            await self._send_again_later(error)
        except RowsRejected as error:
            await self._put_aside(error.reasons)
        except BatchRejected as error:
            await self._find_the_guilty(error)
        except SchemaMismatch as error:
            self._tally.failed("failed", error.reason)
            await self._hold(error.reason)
        except CannotStore as error:
            await self._wait_for_the_disk(error)
        else:
            await (self._pause() if sent is None else self._took_effect(sent))

    async def _send(self) -> Sent | None:
        try:
            return await self._around.gate.send(self._settings.priority, self._fetch)
        finally:
            self._spent_seconds = self._around.clock() - self._sent_at if self._is_in_flight else 0.0
            self._is_in_flight = False

    async def _fetch(self) -> Batch | None:
        """The oldest sealed batch, else a new cut. The sink can take it now."""
        queue, plan = self._around.queue, self.pacer.plan
        if not self._work:
            sealed = await queue.seal(self.table, *self.pacer.cut())
            if sealed is None:
                return None
            self._work.append(Work(sealed, was_full=sealed.rows >= plan.cut_rows, is_begun=True))
        work = self._work[0]
        try:
            batch = await queue.load(work.sealed)
        except SpoolDamaged:
            await self._leave_out_damaged(work)
            return None
        self._work[0] = replace(work, was_sent=True)
        self._is_in_flight = True
        self._sent_at = self._around.clock()
        return replace(batch, is_repeat=True) if work.was_sent else batch

    async def _leave_out_damaged(self, work: Work) -> None:
        """What cannot be read any more must not keep the rows behind it."""
        mended = await self._surely(lambda: self._around.queue.mend(work.sealed))
        self._work.popleft()
        if mended.left is not None:
            self._work.appendleft(replace(work, sealed=mended.left))
        said = "damaged rows are lost" if mended.lost else "a damaged batch waits for the next start"
        self._say(logging.ERROR, said, rows=mended.lost or work.sealed.rows, batch=work.sealed.id)

    async def _took_effect(self, sent: Sent) -> None:
        work = self._work[0]
        await self._surely(lambda: self._around.queue.finish(work.sealed))
        self._work.popleft()
        if work.is_first_half and self._work and self._work[0].sealed.rows > 1:
            self._work[0] = replace(self._work[0], is_guilty=True)
        self.pacer.plan = self.pacer.plan.after(
            Observation(sent.rows, sent.bytes, sent.seconds, work.was_full)
        )
        self._rejections = self._rejections.after_taken(sent.rows)
        self._tally.done(sent.rows, sent.seconds, self._around.clock())
        self._progressed()

    def _progressed(self) -> None:
        """The sink gave a verdict and the queue has it."""
        if self._attempts:
            self._say(logging.INFO, "delivery goes on", attempts=self._attempts)
        if self.held is not None:
            self._say(logging.WARNING, "delivery of a table no longer holds")
        self.held = None
        self._attempts = 0
        self._stumbles = Stumbles()
        self._around.progressed()

    async def _send_again_later(self, error: SinkUnavailable) -> None:
        self._tally.failed("retried", error.reason)
        if not self._attempts:
            self._say(logging.WARNING, "sink unavailable", reason=error.reason)
        delay = self._next_delay(error.retry_after_seconds)
        if error.is_connection:
            await self._around.gate.recovery(delay)
        else:
            await asyncio.sleep(delay)

    async def _put_aside(self, reasons: Mapping[int, str]) -> None:
        work = self._work[0]
        try:
            reasons = checked(reasons, work.sealed.rows)
        except WrongVerdict as error:
            await self._stumble(error)
            return
        self._tally.failed("rejected", f"{len(reasons)} rows rejected")
        # What was dead before says nothing new about the sink: it goes back, and nothing else waits for it.
        objection = None if work.sealed.is_replay else self._rejections.objection(work.sealed.rows, reasons)
        if objection and not self._is_pardoned:
            await self._hold(objection)
            return
        child = await self._surely(lambda: self._around.queue.reject(work.sealed, reasons))
        self._work.popleft()
        if child is not None:
            self._work.appendleft(Work(child))
        if not work.sealed.is_replay:
            self._rejections = self._rejections.after_rejected(len(reasons))
        self._tally.buried(len(reasons))
        self._say(logging.WARNING, "rows put among the dead letters", rows=len(reasons), batch=work.sealed.id)
        self._progressed()

    async def _find_the_guilty(self, error: BatchRejected) -> None:
        if self._work[0].sealed.rows == 1:
            await self._put_aside({0: error.reason})
        else:
            self._tally.failed("split", "batch rejected")
            await self._halve()

    async def _halve(self) -> None:
        work = self._work[0]
        first, second = await self._surely(lambda: self._around.queue.halve(work.sealed))
        self._work.popleft()
        self._work.extendleft((Work(second), Work(first, is_first_half=True)))
        self._attempts = 0

    async def _wait_for_the_disk(self, error: CannotStore) -> None:
        if not self._attempts:
            self._say(logging.WARNING, "spool cannot write, delivery waits", reason=error.reason)
        self._tally.last_error = error.reason
        await self._pause()

    async def _surely(self, step: Callable[[], Awaitable[T]]) -> T:
        """The queue's answer to a step that must follow a verdict, however long the disk refuses.

        The batch is not sent again meanwhile: after a step that may have been done its parent is no more.
        """
        while True:
            try:
                return await step()
            except CannotStore as error:
                await self._wait_for_the_disk(error)
            except Exception as error:  # as in run
                await self._stumble(error)

    async def _stumble(self, error: Exception) -> None:
        """Something nobody expected: a bug. It is tried again, and soon a person must look at it."""
        culprit = error.__cause__ if isinstance(error, SinkBug) and error.__cause__ else error
        name = type(culprit).__name__
        self._stumbles = self._stumbles.after(culprit)
        self._tally.failed("failed", f"unexpected {name}")
        if self._stumbles.count == 1:
            self._say(logging.ERROR, "unexpected failure in delivery", error=error)
        if self._stumbles.count >= self._around.settings.same_failures:
            await self._hold(f"unexpected {name}, {self._stumbles.count} times in a row")
        else:
            await self._pause()

    async def _hold(self, reason: str) -> None:
        """Wait for a person or for the next probe; the batch stays sealed."""
        if self.held is None:
            self._say(logging.ERROR, "delivery of a table holds", reason=reason)
        self.held = reason
        self._around.progressed()
        settings = self._around.settings
        wait = max(settings.probe_seconds, self._spent_seconds / settings.probe_share)
        await self._released.wait(min(wait, LONGEST_PROBE_SECONDS))

    async def _pause(self) -> None:
        await asyncio.sleep(self._next_delay())

    def _next_delay(self, wished_seconds: float | None = None) -> float:
        attempt = self._attempts
        self._attempts += 1
        return delay_seconds(attempt, self._around.random(), self._around.settings.retry, wished_seconds)

    def _say(self, level: int, message: str, *, error: BaseException | None = None, **fields: object) -> None:
        names = {"sink": self._around.gate.sink.name, "table": self.table}
        logger.log(level, message, exc_info=error, extra={"fields": {**names, **fields}})
