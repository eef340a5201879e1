"""What a route counts about its events; the metrics themselves are `tracker.metrics`' catalogue."""

from tracker.errors import BadHit
from tracker.metrics import Metrics


class EventCounts:
    """One route's counters, looked up once: a look-up by label costs as much as three increments."""

    def __init__(self, metrics: Metrics, route: str) -> None:
        self.route = route
        self.received = metrics.tally(metrics.events_received.labels(route))
        self.unpromised = metrics.events_unpromised.labels(route)
        self._rejected = metrics.events_rejected

    def rejected(self, error: BadHit) -> None:
        """One event can never be stored."""
        self._rejected.labels(self.route, error.code).inc()
