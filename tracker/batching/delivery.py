"""Delivery to one sink: a lane per table behind one gate; what is owed leaves oldest first, however long.

Nothing is cut while the sink cannot take it, and no table waits for another. Storing what was accepted is
`spool`'s business, the reactions to a sink's answers are `lane`'s.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tracker.batching.breaker import BreakerSettings
from tracker.batching.contract import BatchQueue, Sealed
from tracker.batching.gate import Gate, GateSettings
from tracker.batching.lane import Lane, LaneSettings, Surroundings
from tracker.batching.retry import delay_seconds
from tracker.batching.signal import Signal
from tracker.batching.snapshot import DeliverySnapshot
from tracker.batching.strategies import BatchSettings
from tracker.batching.tally import Tally
from tracker.errors import CannotStore, SinkUnavailable
from tracker.metrics import Metrics
from tracker.sinks.base import Sink

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Patience of one sink's delivery; the defaults are meant for everyone."""

    lane: LaneSettings = field(default_factory=LaneSettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    close_timeout_seconds: float = 2.0


class Delivery:
    """One sink's delivery, for one event loop.

    `strategies` gives a table's settings, `clock` Unix seconds, `random` numbers from 0 to 1. A write that
    takes longer than `write_timeout_seconds` is sent again; no batch has more than `max_batch_bytes`.
    """

    def __init__(
        self,
        sink: Sink,
        queue: BatchQueue,
        strategies: Callable[[str], BatchSettings],
        *,
        metrics: Metrics,
        clock: Callable[[], float],
        random: Callable[[], float],
        write_timeout_seconds: float,
        max_batch_bytes: int,
        settings: DeliverySettings | None = None,
    ) -> None:
        settings = settings or DeliverySettings()
        self.sink = sink
        self._strategies = strategies
        self._metrics = metrics
        self._max_batch_bytes = max_batch_bytes
        bounds = GateSettings(write_timeout_seconds, settings.close_timeout_seconds, settings.breaker)
        self._gate = Gate(sink, bounds, metrics, random=random, steady=time.monotonic)
        self._progress = Signal()
        self._around = Surroundings(
            self._gate, queue, settings.lane, clock, random, progressed=self._progress.fire
        )
        self._lanes: dict[str, Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_running = False
        self._is_draining = False

    async def start(self) -> None:
        """Send what an earlier process left unfinished, then whatever waits; opens the sink on the way.

        Returns without waiting for the sink. Waits for the spool, if its disk refuses to be read.
        """
        unfinished = await self._unfinished()
        self._is_running = True
        for table in dict.fromkeys(sealed.table for sealed in unfinished):
            self._add_lane(table, [sealed for sealed in unfinished if sealed.table == table])
        self.notice(self._around.queue.tables())
        self._tasks.append(asyncio.create_task(self._open_early(), name=f"open {self.sink.name}"))

    def notice(self, tables: Iterable[str]) -> None:
        """Rows of these tables were committed or replayed. On the loop after each commit; next to free."""
        if not self._is_running:
            return
        lanes = self._lanes
        for table in tables:
            lane = lanes.get(table)
            if lane is None:
                self._add_lane(table)
            else:
                lane.pacer.notice()

    async def drain(self, deadline_seconds: float) -> bool:
        """Deliver everything that waits without waiting for strategies; True when no more is owed.

        Returns early when all that is left holds for a person, and in any case at the deadline.
        """
        self._is_draining = True
        self.notice(self._around.queue.tables())
        for lane in self._lanes.values():
            lane.pacer.hurry()
        deadline = time.monotonic() + deadline_seconds
        while self.owes(with_held=False) and (left := deadline - time.monotonic()) > 0:
            await self._progress.wait(left)
        return not self.owes()

    async def stop(self) -> None:
        """End all tasks and close the sink, within a bound. What was not delivered stays in the spool."""
        self._is_running = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._gate.close()

    def release(self, table: str) -> bool:
        """Let a table that holds go on, and put aside what the sink rejects of the batch at hand.

        False when it does not hold.
        """
        lane = self._lanes.get(table)
        return lane is not None and lane.release()

    def owes(self, *tables: str, with_held: bool = True) -> bool:
        """Whether any of these tables (none named: any at all) has something that is not delivered yet."""
        lanes = [lane for lane in self._lanes.values() if with_held or lane.held is None]
        if any(lane.owes for lane in lanes if lane.table in tables or not tables):
            return True
        strangers = set(self._around.queue.tables()) - self._lanes.keys()
        return bool(strangers & set(tables) if tables else strangers)

    def snapshot(self) -> DeliverySnapshot:
        """Delivery as it is now; cheap enough for every scrape."""
        tables = tuple(lane.snapshot() for lane in self._lanes.values())
        successes = [table.last_success_at for table in tables if table.last_success_at is not None]
        return DeliverySnapshot(
            sink=self.sink.name,
            is_open=self._gate.is_open,
            breaker=self._gate.breaker.state.value,
            in_flight=self._gate.in_flight,
            in_flight_limit=self._gate.slots.limit.slots,
            last_error=self._gate.last_error,
            last_success_at=max(successes, default=None),
            tables=tables,
            trouble=self._gate.trouble,
        )

    def _add_lane(self, table: str, unfinished: Iterable[Sealed] = ()) -> None:
        tally = Tally(self._metrics, self.sink.name, table)
        lane = Lane(table, self._strategies(table), self._max_batch_bytes, self._around, tally)
        for sealed in unfinished:
            lane.resume(sealed)
        if self._is_draining:
            lane.pacer.hurry()
        self._lanes[table] = lane
        self._tasks.append(asyncio.create_task(lane.run(), name=f"{self.sink.name} {table}"))

    async def _unfinished(self) -> list[Sealed]:
        attempt = 0
        while True:
            try:
                return await self._around.queue.unfinished()
            except CannotStore:
                await self._pause(attempt)
                attempt += 1

    async def _open_early(self) -> None:
        """Have the sink open (and its schema up to date) before the first batch is due."""
        attempt = 0
        while not self._gate.is_open:
            try:
                await self._gate.open()
            except SinkUnavailable as error:
                fields = {"sink": self.sink.name, "reason": error.reason}
                logger.log(
                    logging.DEBUG if attempt else logging.WARNING,
                    "sink cannot be opened",
                    extra={"fields": fields},
                )
                await self._pause(attempt, error.retry_after_seconds)
                attempt += 1
            except Exception:  # a bug of the sink: the first batch meets it again and is held for it
                logger.exception("unexpected failure to open", extra={"fields": {"sink": self.sink.name}})
                return

    async def _pause(self, attempt: int, wished_seconds: float | None = None) -> None:
        retry = self._around.settings.retry
        await asyncio.sleep(delay_seconds(attempt, self._around.random(), retry, wished_seconds))
