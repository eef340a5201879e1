"""When one table's lane should wake up: asks the strategy as rarely as it can, sets one timer.

`notice` runs on the loop after every commit for every table, so it must cost next to nothing. What is done
with a due batch is `lane`'s business.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from tracker.batching.contract import BatchQueue, Waiting
from tracker.batching.strategies import Plan

MOST_ROWS = 100_000
"""Of a batch that a store's rest made larger than its table's own limit."""
LOOK_SECONDS = 0.005
"""A table is looked at no more often than this: the most that a batch can be late."""


@dataclass(frozen=True, slots=True)
class Rest:
    """How far apart a store wants one table's batches, and how much may leave at once because of it."""

    seconds: float
    most_bytes: int
    most_rows: int = MOST_ROWS

    def cut(self, plan: Plan) -> tuple[int, int]:
        """Most rows and most bytes of the next batch: the plan's, unless rows had to wait for others."""
        if not self.seconds:
            return plan.cut_rows, plan.cut_bytes
        return max(plan.cut_rows, self.most_rows), max(plan.cut_bytes, self.most_bytes)

    def left(self, waiting: Waiting, since_seconds: float) -> float:
        """Seconds until a batch may follow one that was cut so long ago; none when a full one waits."""
        is_full = waiting.rows >= self.most_rows or waiting.bytes >= self.most_bytes
        return 0.0 if is_full else max(0.0, self.seconds - since_seconds)


class Pacer:
    """One table's wake-up. Made and used on one event loop; `clock` gives Unix seconds.

    `rested` is called each time the lane has nothing that is due.
    """

    def __init__(
        self,
        table: str,
        plan: Plan,
        rest: Rest,
        queue: BatchQueue,
        clock: Callable[[], float],
        rested: Callable[[], None],
    ) -> None:
        self.plan = plan
        self.is_resting = False
        """The lane waits for a batch to be due."""
        self._rest = rest
        self._cut_at = -math.inf
        self._rested = rested
        self._table = table
        self._queue = queue
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._bell = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._next_look_at = 0.0
        self._is_unnoticed = False
        """The lane rests, and nothing has made it look again yet."""
        self._is_hurried = False

    def notice(self) -> None:
        """Rows have arrived."""
        if not self._is_unnoticed:
            return
        self._is_unnoticed = False
        wait = self._next_look_at - self._loop.time()
        if wait <= 0:
            self._bell.set()
        else:
            self._ring_in(wait)

    def hurry(self) -> None:
        """From now on whatever waits is due."""
        self._is_hurried = True
        self._bell.set()

    def cut(self) -> tuple[int, int]:
        """Most rows and most bytes of the batch that is cut now."""
        self._cut_at = self._loop.time()
        return self._rest.cut(self.plan)

    async def until_due(self) -> None:
        """Return when a batch should be cut."""
        while (due_in := self._due_in()) is None or due_in > 0:
            await self._wait(due_in)

    def _due_in(self) -> float | None:
        waiting = self._queue.waiting(self._table)
        if waiting is None:
            return None
        if self._is_hurried:
            return 0.0
        due_in = self.plan.due_in(waiting, self._clock())
        if due_in is None:
            return None
        return max(due_in, self._rest.left(waiting, self._loop.time() - self._cut_at))

    async def _wait(self, seconds: float | None) -> None:
        self._bell.clear()
        self.is_resting = self._is_unnoticed = True
        self._next_look_at = self._loop.time() + LOOK_SECONDS
        if seconds is not None:
            self._ring_in(seconds)
        self._rested()
        try:
            await self._bell.wait()
        finally:
            self.is_resting = self._is_unnoticed = False
            self._silence()

    def _ring_in(self, seconds: float) -> None:
        self._silence()
        self._timer = self._loop.call_later(seconds, self._bell.set)

    def _silence(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
