"""When pruning happens by itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tracker.errors import TrackerError

log = logging.getLogger(__name__)

FIRST_SECONDS = 300.0
"""The first run comes no later than this after the start, so that restarts never keep it from coming."""
JITTER = 0.1
"""Part of the period by which runs come earlier or later, so that collectors do not prune at once."""


def first_delay(every_seconds: float, random: float) -> float:
    """Seconds from the start to the first run; `random` is from 0 to 1."""
    return min(every_seconds, FIRST_SECONDS) * (0.5 + 0.5 * random)


def next_delay(every_seconds: float, random: float) -> float:
    """Seconds from the end of a run to the next one."""
    return every_seconds * (1.0 + JITTER * (2.0 * random - 1.0))


async def repeat(
    every_seconds: float, run: Callable[[], Awaitable[object]], random: Callable[[], float]
) -> None:
    """Run again and again until cancelled; a run that fails is logged and does not end it."""
    await asyncio.sleep(first_delay(every_seconds, random()))
    while True:
        try:
            await run()
        except TrackerError as error:
            log.warning("not pruned", extra={"fields": {"reason": str(error)}})
        except Exception:  # a bug of ours must not end retention for good
            log.exception("pruning failed")
        await asyncio.sleep(next_delay(every_seconds, random()))
