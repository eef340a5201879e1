"""The catalogue of every metric this process counts itself; the counting is the callers' business.

State that can be looked at when asked (waiting rows, breaker, limits, conservation) is no part of this file:
`tracker.scrape` reads it from snapshots and holds the catalogue of those names.

Labels have few and known values: a route, a table, a sink, an outcome, a short reason; never what was
sent. A hot path binds its children once, `accepted = metrics.events_accepted.labels("tr")`, and calls
`accepted.inc()`; the hottest ones, `metrics.tally(accepted)`, which only adds numbers until somebody looks.
"""

import platform
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
COMMIT_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)
WRITE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_DURATIONS = 256
"""That are taken down before they are counted."""


class Tally:
    """A counter's child for one thread, with which the registry is collected too."""

    __slots__ = ("_child", "_count")

    def __init__(self, child: Counter) -> None:
        self._child = child
        self._count = 0

    def inc(self, amount: int = 1) -> None:
        """Count."""
        self._count += amount

    def settle(self) -> None:
        """Have the child count what was taken down."""
        if self._count:
            self._child.inc(self._count)
            self._count = 0


class Durations:
    """A histogram's child likewise; seconds."""

    __slots__ = ("_child", "_taken")

    def __init__(self, child: Histogram) -> None:
        self._child = child
        self._taken: list[float] = []

    def observe(self, seconds: float) -> None:
        """Count."""
        self._taken.append(seconds)
        if len(self._taken) >= MOST_DURATIONS:
            self.settle()

    def settle(self) -> None:
        """Have the child count what was taken down."""
        for seconds in self._taken:
            self._child.observe(seconds)
        self._taken.clear()


class _Settling(Collector):
    """Collected before everything else, so that all that is shown is whole."""

    def __init__(self) -> None:
        self.open: list[Tally | Durations] = []

    def collect(self) -> Iterable[Metric]:
        for one in self.open:
            one.settle()
        return ()

    def describe(self) -> Iterable[Metric]:
        return ()


class Metrics:
    """One process's metrics, made once in its own registry and handed to whoever counts."""

    def __init__(self, registry: CollectorRegistry, version: str) -> None:
        self.registry = registry
        self._settling = _Settling()
        registry.register(self._settling)
        self._web(registry)
        self._spool(registry)
        self._delivery(registry)
        self._pruning(registry)
        self._build_info(registry, version)

    def tally(self, child: Counter) -> Tally:
        """The child for the event loop's thread, at a tenth of the cost; asked for once."""
        tally = Tally(child)
        self._settling.open.append(tally)
        return tally

    def durations(self, child: Histogram) -> Durations:
        """The child likewise."""
        durations = Durations(child)
        self._settling.open.append(durations)
        return durations

    def _web(self, registry: CollectorRegistry) -> None:
        # Every HTTP answer by route (the word after /tr/v1/, or the name of a health route) and status code.
        self.requests = Counter(
            "tracker_requests", "HTTP requests answered", ["route", "status"], registry=registry
        )
        # From the request's headers to its answer, durable commit included.
        self.request_seconds = Histogram(
            "tracker_request_seconds",
            "Time to answer a request",
            ["route"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        # Everything that claimed to be an event: received = accepted + rejected + duplicate + unpromised,
        # plus what was answered 503 and may come again.
        self.events_received = Counter(
            "tracker_events_received", "Events sent to a route", ["route"], registry=registry
        )
        # On disk before the answer.
        self.events_accepted = Counter(
            "tracker_events_accepted", "Events made durable and acknowledged", ["route"], registry=registry
        )
        # Can never be stored; `reason` is the code of a BadHit.
        self.events_rejected = Counter(
            "tracker_events_rejected", "Events refused for good", ["route", "reason"], registry=registry
        )
        # The same client id again inside the window: acknowledged, not stored a second time.
        self.events_duplicate = Counter(
            "tracker_events_duplicate", "Retries acknowledged without being stored again", registry=registry
        )
        # A redirect or pixel that was answered although its event could not be kept.
        self.events_unpromised = Counter(
            "tracker_events_unpromised", "Events answered without being stored", ["route"], registry=registry
        )
        # outcome: anonymise | drop; ground: gpc | dnt | no_consent | refused_consent | forgotten
        # (`steps.protect`).
        # Part of the accepted ones: what is stored of them names nobody.
        self.events_withheld = Counter(
            "tracker_events_withheld",
            "Events not kept as they were sent",
            ["outcome", "ground"],
            registry=registry,
        )
        # A value that did not fit its column and was kept in params instead.
        self.field_faults = Counter(
            "tracker_field_faults", "Values moved to params", ["reason"], registry=registry
        )
        # rdr and xrdr: allowed = to where it was asked, default = DefaultRedirect instead, refused = 400.
        self.redirects = Counter(
            "tracker_redirects", "Redirects by what became of them", ["outcome"], registry=registry
        )
        # Paths that no route has: followed and tracked (a link through /rdr/) were sent on, unknown = 404,
        # refused = 404 as the stored target is no http(s), unavailable = 503 as no store could be asked.
        self.short_links = Counter(
            "tracker_short_links",
            "Short links asked for, by what became of it",
            ["outcome"],
            registry=registry,
        )
        self.websockets = Gauge("tracker_websockets", "WebSockets open now", registry=registry)
        # What Limits.MaxOpenConnections bounds.
        self.open_connections = Gauge(
            "tracker_open_connections", "Connections open now, WebSockets included", registry=registry
        )
        # What Limits.MaxBodiesInMemory bounds; connections with less than 16 KiB are not counted.
        self.unread_bytes = Gauge(
            "tracker_unread_bytes", "Bytes of clients that were read and not dealt with", registry=registry
        )
        # head (too slow or large) | silent (sent nothing) | write (took no answer) | message (never ended on
        # a WebSocket) | memory (gave way) | idle (closed for newer ones) | full, address (refused)
        self.connections_ended = Counter(
            "tracker_connections_ended", "Connections ended by a bound", ["reason"], registry=registry
        )
        # loaded | failed: the file is not there, or no database; the one before stays in use.
        self.geo_loads = Counter(
            "tracker_geo_loads", "Address databases read anew", ["outcome"], registry=registry
        )
        # A damaged part of a database; the address counts as unknown.
        self.geo_lookup_failures = Counter(
            "tracker_geo_lookup_failures", "Addresses that could not be looked up", registry=registry
        )
        # What MaximumConnections bounds.
        self.connections = Gauge("tracker_connections", "Limited requests under way", registry=registry)

    def _spool(self, registry: CollectorRegistry) -> None:
        # One for each group of requests that reached the disk together.
        self.commits = Counter("tracker_spool_commits", "Group commits made durable", registry=registry)
        self.commit_seconds = Histogram(
            "tracker_spool_commit_seconds",
            "Time of one group commit",
            buckets=COMMIT_BUCKETS,
            registry=registry,
        )
        # Answered 503: full (MaxBytes), memory (MaxMemoryBytes), disk (write or sync failed), ...
        self.commit_failures = Counter(
            "tracker_spool_commit_failures", "Group commits that failed", ["reason"], registry=registry
        )

    def _delivery(self, registry: CollectorRegistry) -> None:
        # done | retried (same bytes again) | split (in halves) | rejected (rows put aside) | failed (our bug)
        self.batches = Counter(
            "tracker_batches", "Batches by how a write ended", ["sink", "table", "outcome"], registry=registry
        )
        # Rows of batches that are done; over batches{outcome="done"} it is the batch size.
        self.batch_rows = Counter(
            "tracker_batch_rows", "Rows written in finished batches", ["sink", "table"], registry=registry
        )
        # Every attempt, also one that failed.
        self.write_seconds = Histogram(
            "tracker_write_seconds",
            "Time of one write to a sink",
            ["sink", "table"],
            buckets=WRITE_BUCKETS,
            registry=registry,
        )
        self.breaker_opened = Counter(
            "tracker_breaker_opened", "Times a sink's circuit breaker opened", ["sink"], registry=registry
        )
        # Rows this process put aside; the persisted number is tracker_rows_dead.
        self.dead_letters = Counter(
            "tracker_dead_letters", "Rows put among the dead letters", ["sink", "table"], registry=registry
        )

        # A person had them sent again; rejected once more, they count as put aside once more.
        self.dead_letters_replayed = Counter(
            "tracker_dead_letters_replayed", "Dead letters sent again by command", registry=registry
        )

    def _pruning(self, registry: CollectorRegistry) -> None:
        # Deleted or emptied because of their age, by --prune or Privacy.PruneEvery.
        self.pruned_rows = Counter(
            "tracker_pruned_rows", "Old rows deleted or emptied", ["store", "table"], registry=registry
        )
        # done | failed (a store could not be pruned; its log line says why)
        self.prune_runs = Counter("tracker_prune_runs", "Runs of pruning", ["outcome"], registry=registry)
        # 0 before the first.
        self.prune_last_run = Gauge(
            "tracker_prune_last_run_timestamp_seconds", "When pruning last ended", registry=registry
        )

    def _build_info(self, registry: CollectorRegistry, version: str) -> None:
        # Always 1; what runs is in the labels.
        self.build_info = Gauge(
            "tracker_build_info", "What runs here", ["version", "python"], registry=registry
        )
        self.build_info.labels(version, platform.python_version()).set(1)
