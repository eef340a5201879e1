"""State as Prometheus families, made anew for each scrape from one snapshot.

The catalogue of these names is `FAMILIES`; what the process counts itself is in tracker/metrics.py.
"""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tracker.scrape.views import (
    DeliveryState,
    Snapshot,
    SpoolState,
    TableState,
    Totals,
    difference,
    oldest_age,
)

BREAKER_STATES = ("closed", "open", "half-open")
_SINK = ("sink",)
_TABLE = ("sink", "table")

FAMILIES = MappingProxyType(
    {
        # Persisted conservation: accepted = delivered + dead + waiting + dropped, exact at every scrape.
        "tracker_rows_accepted_total": ("Rows acknowledged since the sink was new", _TABLE),
        "tracker_rows_delivered_total": ("Rows the sink has", _TABLE),
        "tracker_rows_dead": ("Rows among the dead letters", _TABLE),
        "tracker_rows_waiting": ("Rows that wait, sealed ones included", _TABLE),
        "tracker_rows_dropped_total": ("Rows given up by a decision or lost to damage", (*_TABLE, "reason")),
        # Anything but 0 is a bug: alert on it.
        "tracker_conservation_difference": ("Rows that are unaccounted for", _TABLE),
        # A table on its way to a sink.
        "tracker_waiting_bytes": ("Bytes that wait, not yet sealed", _TABLE),
        "tracker_oldest_waiting_seconds": ("Age of the oldest waiting row, 0 when nothing waits", _TABLE),
        "tracker_held": ("1 while delivery of the table holds", _TABLE),
        # Named by `limit`: rows, bytes, seconds; an adaptive strategy moves them.
        "tracker_strategy_limit": ("Current limit of the table's batching strategy", (*_TABLE, "limit")),
        # A sink. Exactly one of the breaker's states is 1.
        "tracker_sink_open": ("1 while the sink is connected", _SINK),
        "tracker_breaker_state": ("1 for the state the circuit breaker is in", (*_SINK, "state")),
        "tracker_in_flight": ("Writes under way", _SINK),
        "tracker_in_flight_limit": ("Writes that may be under way at once", _SINK),
        "tracker_last_success_timestamp_seconds": ("When the last batch was finished, 0 = never", _SINK),
        # The spool.
        "tracker_spool_live_bytes": ("Bytes of rows that wait", ()),
        "tracker_spool_limit_bytes": ("The most live bytes there may be", ()),
        "tracker_spool_dead_bytes": ("Bytes of the dead letters", ()),
        "tracker_spool_dead_limit_bytes": ("The most bytes of dead letters that are kept", ()),
        "tracker_spool_wal_bytes": ("Size of the write-ahead log", ()),
        "tracker_spool_memory_bytes": ("Bytes in memory on their way to the disk", ()),
        # Above 0: rows may have been lost. Look at the log and at the files, then move them away.
        "tracker_spool_damaged_files": ("Damaged spools kept aside since a start", ()),
        "tracker_spool_remembered_ids": ("Client event ids that are remembered", ()),
        "tracker_uptime_seconds": ("Time since the process started", ()),
    }
)
"""Name -> (help, labels) of every family that is read at scrape time."""

Sample = tuple[str, tuple[str, ...], float]
"""Name of the family, values of its labels, value."""


class Exposition(Collector):
    """What one scrape shows: the process's counters, then the state of one snapshot."""

    def __init__(self, registry: CollectorRegistry, snapshot: Snapshot) -> None:
        self._registry = registry
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Every family; the creation times that the library adds to each counter are left out."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
        yield from _families(_samples(self._snapshot))


def _families(samples: Iterable[Sample]) -> Iterator[Metric]:
    families = {name: _family(name) for name in FAMILIES}
    for name, labels, value in samples:
        families[name].add_metric(labels, value)
    yield from families.values()


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    text, labels = FAMILIES[name]
    if name.endswith("_total"):
        return CounterMetricFamily(name, text, labels=labels)
    return GaugeMetricFamily(name, text, labels=labels)


def _samples(snapshot: Snapshot) -> Iterator[Sample]:
    for totals in snapshot.totals:
        yield from _of_totals(totals)
    for delivery in snapshot.deliveries:
        yield from _of_delivery(delivery)
        for table in delivery.tables:
            yield from _of_table((delivery.sink, table.table), table, snapshot.now)
    yield from _of_spool(snapshot.spool)
    yield ("tracker_spool_memory_bytes", (), snapshot.memory_bytes)
    yield ("tracker_uptime_seconds", (), snapshot.now - snapshot.started_at)


def _of_totals(totals: Totals) -> Iterator[Sample]:
    labels = (totals.sink, totals.table)
    yield ("tracker_rows_accepted_total", labels, totals.accepted)
    yield ("tracker_rows_delivered_total", labels, totals.delivered)
    yield ("tracker_rows_dead", labels, totals.dead)
    yield ("tracker_rows_waiting", labels, totals.waiting)
    for reason, rows in totals.dropped.items():
        yield ("tracker_rows_dropped_total", (*labels, reason), rows)
    yield ("tracker_conservation_difference", labels, difference(totals))


def _of_delivery(delivery: DeliveryState) -> Iterator[Sample]:
    for state in BREAKER_STATES:
        yield ("tracker_breaker_state", (delivery.sink, state), float(delivery.breaker == state))
    yield ("tracker_sink_open", (delivery.sink,), float(delivery.is_open))
    yield ("tracker_in_flight", (delivery.sink,), delivery.in_flight)
    yield ("tracker_in_flight_limit", (delivery.sink,), delivery.in_flight_limit)
    yield ("tracker_last_success_timestamp_seconds", (delivery.sink,), delivery.last_success_at or 0.0)


def _of_table(labels: tuple[str, str], table: TableState, now: float) -> Iterator[Sample]:
    yield ("tracker_waiting_bytes", labels, table.waiting_bytes)
    yield ("tracker_oldest_waiting_seconds", labels, oldest_age(table, now))
    yield ("tracker_held", labels, float(table.held is not None))
    for limit, value in table.limits.items():
        yield ("tracker_strategy_limit", (*labels, limit), value)


def _of_spool(spool: SpoolState) -> Iterator[Sample]:
    yield ("tracker_spool_live_bytes", (), spool.live_bytes)
    yield ("tracker_spool_limit_bytes", (), spool.max_bytes)
    yield ("tracker_spool_dead_bytes", (), spool.dead_bytes)
    yield ("tracker_spool_dead_limit_bytes", (), spool.dead_max_bytes)
    yield ("tracker_spool_wal_bytes", (), spool.wal_bytes)
    yield ("tracker_spool_damaged_files", (), spool.damaged_files)
    yield ("tracker_spool_remembered_ids", (), spool.remembered_ids)
