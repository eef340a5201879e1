"""How the time of a stop is shared out: one bound for the whole of it, and what is late is left behind.

What the parts are is app.py's business. Whatever was acknowledged is on disk before a stop begins, so leaving
a part behind costs nothing but the time the next start takes to do its work.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

log = logging.getLogger(__name__)

REQUESTS_SHARE = 0.4
CLOSING_SHARE, CLOSING_SECONDS = 0.3, 1.5
"""What closing stores and spool may take: this share of the whole, and never more than so many seconds."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When each part of a stop must have ended, in seconds after its beginning."""

    requests: float
    delivery: float
    stores: float
    spool: float
    process: float
    """When the process itself must have ended: a little before the time is up, as ending takes time too."""

    @classmethod
    def of(cls, grace_seconds: float) -> Self:
        """The shares of a stop that may take so long in all."""
        closing = min(CLOSING_SHARE * grace_seconds, CLOSING_SECONDS)
        return cls(
            requests=REQUESTS_SHARE * grace_seconds,
            delivery=grace_seconds - closing,
            stores=grace_seconds - closing / 2,
            spool=grace_seconds - closing / 4,
            process=grace_seconds - closing / 8,
        )


class Stopping:
    """One stop under way; `clock` gives steady seconds."""

    def __init__(self, grace_seconds: float, clock: Callable[[], float]) -> None:
        self.budget = Budget.of(grace_seconds)
        self.late: list[str] = []
        """The parts that did not end in time."""
        self._clock = clock
        self._began = clock()

    def left(self, until: float) -> float:
        """Seconds from now to that moment of the stop, 0 when it is over."""
        return max(0.0, self._began + until - self._clock())

    async def part(self, name: str, until: float, *works: Awaitable[object]) -> None:
        """Await these side by side up to that moment of the stop, and note it when one is late."""
        if not await within(self.left(until), *works):
            self.late.append(name)
            log.warning("not ended in time, left behind", extra={"fields": {"part": name}})


async def within(seconds: float, *works: Awaitable[object]) -> bool:
    """Await these side by side for so long; True when all have ended.

    The others are cancelled and not waited for. An error of one is logged and keeps nothing from ending.
    """
    if not works:
        return True
    tasks = {asyncio.ensure_future(work) for work in works}
    done, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stopping failed", exc_info=error)
    return not late
