"""Storing that nobody waits for: bounded, never cancelled, a failure is only counted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from tracker.errors import CannotStore
from tracker.metrics import Metrics
from tracker.pipeline.prepared import Prepared

_log = logging.getLogger(__name__)

Store = Callable[[Sequence[Prepared], str], Awaitable[int]]
"""`Pipeline.store`."""


class Background:
    """Owns its tasks; at most `most` of them at once, what is more is refused."""

    def __init__(self, store: Store, metrics: Metrics, most: int) -> None:
        self._store = store
        self._metrics = metrics
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()

    def store(self, prepared: Sequence[Prepared], route: str) -> "asyncio.Task[None] | None":
        """As `Pipeline.store_later`."""
        if len(self._tasks) >= self._most:
            self._metrics.events_unpromised.labels(route).inc(len(prepared))
            return None
        task = asyncio.create_task(self._store_or_count(prepared, route))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Wait until all of it has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _store_or_count(self, prepared: Sequence[Prepared], route: str) -> None:
        try:
            await self._store(prepared, route)
        except CannotStore:
            self._metrics.events_unpromised.labels(route).inc(len(prepared))
        except Exception:  # nobody awaits this task: a bug must show up here or nowhere
            self._metrics.events_unpromised.labels(route).inc(len(prepared))
            _log.exception("background store failed", extra={"fields": {"route": route}})
