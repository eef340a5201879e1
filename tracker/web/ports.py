"""What the web front asks of the rest of the collector."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from aiohttp import web

from tracker.events import Hit
from tracker.pipeline import Prepared

Now = Callable[[], float]
"""Unix seconds."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class EventPipeline(Protocol):
    """Where hits go; see `tracker.pipeline.Pipeline`."""

    def prepare(self, hit: Hit, *, is_new: bool = False) -> Prepared:
        """A hit's rows, not stored yet. Raises BadHit."""

    async def store(self, prepared: Sequence[Prepared], route: str) -> None:
        """Durable when it returns, all or nothing. Raises CannotStore."""

    def store_later(self, prepared: Sequence[Prepared], route: str) -> "asyncio.Task[None] | None":
        """Stored in the background, without a promise; None when too much waits there already."""


class HealthSource(Protocol):
    """How the collector is, in JSON values; nothing here touches a store."""

    def ready(self, with_details: bool) -> tuple[bool, dict[str, Any]]:
        """Whether events can be accepted, and why not; failing sinks are named, but no reason.

        Details are for those who may see the metrics.
        """

    def health(self) -> dict[str, Any]:
        """Status, version, uptime, sinks."""

    def sinks(self, with_details: bool) -> dict[str, Any]:
        """Each sink's state by its name; details as above."""


class ScrapeSource(Protocol):
    """The metrics, as they are now."""

    async def as_json(self) -> dict[str, Any]:
        """The original's keys and ours."""

    async def as_prometheus(self, accept: str) -> tuple[bytes, str]:
        """Exposition text and its content type, in the form that an Accept header prefers."""
