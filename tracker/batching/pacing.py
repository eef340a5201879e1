"""When one table's lane should wake up: asks the strategy as rarely as it can, sets one timer.

`notice` runs on the loop after every commit for every table, so it must cost next to nothing. What is done
with a due batch is `lane`'s business.
"""

import asyncio
from collections.abc import Callable

from tracker.batching.contract import BatchQueue
from tracker.batching.strategies import Plan

LOOK_SECONDS = 0.005
"""A table is looked at no more often than this: the most that a batch can be late."""


class Pacer:
    """One table's wake-up. Made and used on one event loop; `clock` gives Unix seconds.

    `rested` is called each time the lane has nothing that is due.
    """

    def __init__(
        self,
        table: str,
        plan: Plan,
        queue: BatchQueue,
        clock: Callable[[], float],
        rested: Callable[[], None],
    ) -> None:
        self.plan = plan
        self.is_resting = False
        """The lane waits for a batch to be due."""
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

    async def until_due(self) -> None:
        """Return when a batch should be cut."""
        while (due_in := self._due_in()) is None or due_in > 0:
            await self._rest(due_in)

    def _due_in(self) -> float | None:
        waiting = self._queue.waiting(self._table)
        if waiting is None:
            return None
        return 0.0 if self._is_hurried else self.plan.due_in(waiting, self._clock())

    async def _rest(self, seconds: float | None) -> None:
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
