"""What `/metrics` and `status` show: counters and state read at one moment, as JSON or as Prometheus text.

Counting is done elsewhere (tracker/metrics.py); who may ask and which form is wanted is up to the web.
"""

from collections.abc import Callable
from typing import Any

from prometheus_client.exposition import choose_encoder

from tracker.metrics import Metrics
from tracker.scrape.prometheus import Exposition
from tracker.scrape.summary import Counted, as_json, health_status
from tracker.scrape.views import (
    DeliveryState,
    ProcessSources,
    Snapshot,
    Sources,
    SpoolState,
    TableState,
    Totals,
)

__all__ = [
    "DeliveryState",
    "ProcessSources",
    "Scrape",
    "Snapshot",
    "Sources",
    "SpoolState",
    "TableState",
    "Totals",
    "health_status",
]


class Scrape:
    """Reads the sources anew at each call. `clock` gives Unix seconds; the process counts as started now."""

    def __init__(self, metrics: Metrics, sources: Sources, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._sources = sources
        self._clock = clock
        self._started_at = clock()

    async def as_json(self) -> dict[str, Any]:
        """The original's objects (metrics, batching, calculated, timestamp) and ours, ready for JSON."""
        snapshot = await self._snapshot()
        return as_json(Counted(self._metrics.registry), snapshot)

    async def as_prometheus(self, accept: str) -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics when the Accept header asks for it, else text."""
        snapshot = await self._snapshot()
        encode, content_type = choose_encoder(accept)
        return encode(Exposition(self._metrics.registry, snapshot)), content_type

    async def _snapshot(self) -> Snapshot:
        totals = await self._sources.totals()
        return Snapshot(
            totals=totals,
            deliveries=self._sources.deliveries(),
            spool=self._sources.spool_state(),
            memory_bytes=self._sources.memory_bytes(),
            now=self._clock(),
            started_at=self._started_at,
        )
