"""How many writes one sink gets at once, and who is next when all slots are taken.

The limit is learned by additive increase, multiplicative decrease and never above what the sink allows.
What a write is and when it may start is `gate`'s business.
"""

import asyncio
import heapq
from dataclasses import dataclass, replace
from typing import Any

FEWEST = 2
"""A table whose every write runs into its time-out must leave a slot to the others."""


@dataclass(frozen=True, slots=True)
class InFlightLimit:
    """The limit as a pure value, from `FEWEST` (or `cap`, if that is less) to `cap`."""

    cap: int
    value: float

    @property
    def slots(self) -> int:
        """Whole writes at once."""
        return int(self.value)

    def after_success(self, in_use: int) -> "InFlightLimit":
        """One more slot for each full round of successes at the limit; below it nothing was learned."""
        if in_use < self.slots or self.value >= self.cap:
            return self
        return replace(self, value=min(float(self.cap), self.value + 1 / self.slots))

    def after_overload(self) -> "InFlightLimit":
        """Half of it."""
        return replace(self, value=max(float(min(FEWEST, self.cap)), self.value / 2))


class Slot:
    """The right to one write. It is free again when its holder and every call it was shared with are done."""

    def __init__(self, slots: "Slots") -> None:
        self._slots = slots
        self._users = 1

    def share(self, call: asyncio.Task[Any]) -> None:
        """Keep the slot taken until this call has ended, also when its holder gave up on it."""
        self._users += 1
        call.add_done_callback(lambda _: self.leave())

    def leave(self) -> None:
        """One user less."""
        self._users -= 1
        if self._users == 0:
            self._slots.give_back()


class Slots:
    """The slots of one sink; for one event loop only. Starts with everything the sink allows."""

    def __init__(self, cap: int) -> None:
        cap = max(1, cap)
        self.limit = InFlightLimit(cap, float(cap))
        self.in_use = 0
        self._turn = 0
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []

    async def take(self, priority: int) -> Slot:
        """Wait for a slot: priority 1 before 2, then first come, first served."""
        if self.in_use < self.limit.slots and not self._waiters:
            self.in_use += 1
            return Slot(self)
        self._turn += 1
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (priority, self._turn, waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give_back()
            raise
        return Slot(self)

    def succeeded(self) -> None:
        """A write went well."""
        self.limit = self.limit.after_success(self.in_use)
        self._serve()

    def overloaded(self) -> None:
        """A write found the sink away or overloaded."""
        self.limit = self.limit.after_overload()

    def give_back(self) -> None:
        """One slot is free: called by `Slot` alone."""
        self.in_use -= 1
        self._serve()

    def _serve(self) -> None:
        while self._waiters and self.in_use < self.limit.slots:
            waiter = heapq.heappop(self._waiters)[2]
            if not waiter.done():
                self.in_use += 1
                waiter.set_result(None)
