"""What the web front asks of the rest of the collector."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from tracker.errors import BadHit
from tracker.events import Envelope, Hit, Values
from tracker.pipeline import Prepared
from tracker.steps.payments import Sent

Now = Callable[[], float]
"""Unix seconds."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class EventPipeline(Protocol):
    """Where hits go; see `tracker.pipeline.Pipeline`."""

    def keeps(self, said: Values, *, gpc: bool, dnt: bool) -> bool:
        """Whether an event of whose sender nothing else is said is kept as it was sent; True is certain."""

    @property
    def consults(self) -> bool:
        """Whether `consult` is to be awaited before `prepare`."""

    async def consult(self, envelope: Envelope, bodies: Sequence[object]) -> None:
        """Learn what is not said of these events, those of an envelope; what is no object is passed over."""

    def prepare(self, hit: Hit, *, is_new: bool = False) -> Prepared:
        """A hit's rows, not stored yet. Raises BadHit."""

    def prepare_agreement(self, hit: Hit, key: str) -> tuple[Prepared, dict[str, Any]]:
        """What a visitor agreed to, and the row of `agreements` it becomes. Raises BadHit."""

    def payments_in(self, envelope: Envelope, values: Values, key: str) -> Sent:
        """What was said about payments, told apart. Raises BadHit."""

    def prepare_payments(
        self, envelope: Envelope, sent: Sent, said: Mapping[str, Any], now: float
    ) -> Iterator[Prepared | BadHit]:
        """Each payment's row in order, not stored yet, or why it is none."""

    async def store(self, prepared: Sequence[Prepared], route: str) -> int:
        """Durable when it returns, all or nothing; how many of it were retries. Raises CannotStore."""

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
