"""Storing for people who should not wait long: an answer goes out in time, the event follows if it can.

No promise was made for these events, so a failure is only counted.
"""

import asyncio
import logging
from collections.abc import Sequence

from tracker.errors import CannotStore
from tracker.pipeline import Prepared
from tracker.web.counts import EventCounts
from tracker.web.ports import EventPipeline

_log = logging.getLogger(__name__)


class LateStore:
    """Owns the stores that outlive their request."""

    def __init__(self, pipeline: EventPipeline, max_tasks: int = 10_000) -> None:
        self._pipeline = pipeline
        self._max_tasks = max_tasks
        self._tasks: set[asyncio.Task[None]] = set()

    async def store(self, prepared: Sequence[Prepared], counts: EventCounts, wait_seconds: float) -> None:
        """Return when all of it is durable, has failed, or `wait_seconds` have passed."""
        if len(self._tasks) >= self._max_tasks:
            counts.unpromised.inc(len(prepared))
            return
        task = asyncio.create_task(self._store(prepared, counts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait((task,), timeout=wait_seconds)

    async def _store(self, prepared: Sequence[Prepared], counts: EventCounts) -> None:
        try:
            await self._pipeline.store(prepared)
        except CannotStore:
            counts.unpromised.inc(len(prepared))
        except Exception:  # nobody may be left to hear of it: a bug must show up here or nowhere
            counts.unpromised.inc(len(prepared))
            _log.exception("late store failed", extra={"fields": {"route": counts.route}})
        else:
            counts.accepted.inc(len(prepared))

    async def close(self) -> None:
        """Wait until everything under way has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)
