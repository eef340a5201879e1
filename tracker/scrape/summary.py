"""State and counters as the JSON of `/metrics`: the original's four objects with true values, and ours.

Rates are means since the process started. `batch_success_rate` and `error_rate` are shares from 0 to 1.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from tracker.scrape.views import DeliveryState, Snapshot, TableState, Totals, difference, oldest_age

MEBIBYTE = 1024 * 1024


class Counted:
    """The process's own counters by name, summed over the labels that are not asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples = [sample for metric in registry.collect() for sample in metric.samples]

    def total(self, name: str, **labels: str) -> float:
        """The sum of a sample over every child whose labels agree; 0 when there is none."""
        wanted = labels.items()
        return sum(one.value for one in self._samples if one.name == name and wanted <= one.labels.items())


def as_json(counted: Counted, snapshot: Snapshot) -> dict[str, Any]:
    """metrics, batching, calculated, timestamp as the original has them; the rest is ours."""
    batching = _batching(counted, snapshot)
    return {
        "metrics": _metrics(counted, snapshot),
        "batching": batching,
        "calculated": _calculated(counted, snapshot, batching),
        "timestamp": _rfc3339(snapshot.now),
        "tables": _tables(snapshot),
        "sinks": [_sink(delivery) for delivery in snapshot.deliveries],
        "spool": _spool(snapshot),
        "conservation": _conservation(snapshot.totals),
    }


def health_status(deliveries: Sequence[DeliveryState]) -> str:
    """One of the original's words for how the stores are: healthy, degraded, unhealthy, disconnected."""
    if not deliveries:
        return "disconnected"
    if all(delivery.breaker == "open" for delivery in deliveries):
        return "unhealthy"
    ailing = any(
        delivery.breaker != "closed"
        or delivery.last_error
        or any(table.held or table.trouble for table in delivery.tables)
        for delivery in deliveries
    )
    return "degraded" if ailing else "healthy"


def _metrics(counted: Counted, snapshot: Snapshot) -> dict[str, Any]:
    # mthreads, mstore and mtriage: rows written there; an event of a campaign is one row in mthreads.
    rows = {name: _rows_of(counted, name) for name in ("mthreads", "mstore", "mtriage")}
    return {
        "event_count": int(counted.total("tracker_events_accepted_total")),
        "error_count": _errors(counted),
        "campaign_events": rows["mthreads"],
        **{f"{name}_ops": count for name, count in rows.items()},
        "total_latency_ns": int(counted.total("tracker_request_seconds_sum") * 1e9),
        "last_processed_unix": int(_last_success_at(snapshot) or 0),
        "connection_count": sum(delivery.breaker != "open" for delivery in snapshot.deliveries),
        "health_status": health_status(snapshot.deliveries),
        "start_time_unix": int(snapshot.started_at),
    }


def _batching(counted: Counted, snapshot: Snapshot) -> dict[str, Any]:
    done = counted.total("tracker_batches_total", outcome="done")
    failed = counted.total("tracker_batches_total") - done
    items = counted.total("tracker_batch_rows_total")
    seconds = counted.total("tracker_write_seconds_sum")
    last = _last_success_at(snapshot)
    return {
        "enabled": True,
        "total_batches": int(done),
        "total_items": int(items),
        "failed_batches": int(failed),
        "avg_batch_size": _ratio(items, done),
        "avg_flush_latency_ms": 1000 * _ratio(seconds, counted.total("tracker_write_seconds_count")),
        "queued_items": sum(totals.waiting for totals in snapshot.totals),
        "memory_usage_mb": snapshot.memory_bytes / MEBIBYTE,
        "last_flush_time": None if last is None else _rfc3339(last),
        "batch_success_rate": _ratio(done, done + failed, empty=1.0),
        "events_per_second": _events_per_second(counted, snapshot),
    }


def _calculated(counted: Counted, snapshot: Snapshot, batching: Mapping[str, Any]) -> dict[str, Any]:
    answered = counted.total("tracker_request_seconds_count")
    errors = _errors(counted)
    return {
        "avg_latency_ms": 1000 * _ratio(counted.total("tracker_request_seconds_sum"), answered),
        "error_rate": _ratio(errors, errors + counted.total("tracker_events_accepted_total")),
        "uptime_seconds": snapshot.now - snapshot.started_at,
        "events_per_second": batching["events_per_second"],
        "batch_success_rate": batching["batch_success_rate"],
        "avg_items_per_batch": batching["avg_batch_size"],
    }


def _tables(snapshot: Snapshot) -> list[dict[str, Any]]:
    waiting = {(totals.sink, totals.table): totals.waiting for totals in snapshot.totals}
    return [
        _table(delivery.sink, table, waiting.get((delivery.sink, table.table), 0), snapshot.now)
        for delivery in snapshot.deliveries
        for table in delivery.tables
    ]


def _table(sink: str, table: TableState, waiting: int, now: float) -> dict[str, Any]:
    return {
        "sink": sink,
        "table": table.table,
        "strategy": table.strategy,
        "limits": dict(table.limits),
        "batches": table.batches,
        "rows": table.rows,
        "failures": table.failures,
        "waiting_rows": waiting,
        "waiting_bytes": table.waiting_bytes,
        "oldest_age_seconds": oldest_age(table, now),
        "held": table.held,
    }


def _sink(delivery: DeliveryState) -> dict[str, Any]:
    last = delivery.last_success_at
    return {
        "sink": delivery.sink,
        "is_open": delivery.is_open,
        "breaker": delivery.breaker,
        "in_flight": delivery.in_flight,
        "in_flight_limit": delivery.in_flight_limit,
        "last_error": delivery.last_error,
        "last_success": None if last is None else _rfc3339(last),
    }


def _spool(snapshot: Snapshot) -> dict[str, int]:
    spool = snapshot.spool
    return {
        "live_bytes": spool.live_bytes,
        "max_bytes": spool.max_bytes,
        "dead_bytes": spool.dead_bytes,
        "dead_max_bytes": spool.dead_max_bytes,
        "damaged_files": spool.damaged_files,
        "wal_bytes": spool.wal_bytes,
        "memory_bytes": snapshot.memory_bytes,
        "remembered_ids": spool.remembered_ids,
    }


def _conservation(every: Sequence[Totals]) -> dict[str, Any]:
    tables = [
        {
            "sink": totals.sink,
            "table": totals.table,
            "accepted": totals.accepted,
            "delivered": totals.delivered,
            "dead": totals.dead,
            "waiting": totals.waiting,
            "dropped": dict(totals.dropped),
            "difference": difference(totals),
        }
        for totals in every
    ]
    return {"is_kept": all(difference(totals) == 0 for totals in every), "tables": tables}


def _errors(counted: Counted) -> int:
    names = ("tracker_events_rejected_total", "tracker_events_unpromised_total")
    return int(sum(counted.total(name) for name in names))


def _rows_of(counted: Counted, table: str) -> int:
    return int(counted.total("tracker_batch_rows_total", table=table))


def _events_per_second(counted: Counted, snapshot: Snapshot) -> float:
    return _ratio(counted.total("tracker_events_accepted_total"), snapshot.now - snapshot.started_at)


def _last_success_at(snapshot: Snapshot) -> float | None:
    times = [one.last_success_at for one in snapshot.deliveries if one.last_success_at is not None]
    return max(times, default=None)


def _ratio(part: float, whole: float, empty: float = 0.0) -> float:
    return part / whole if whole > 0 else empty


def _rfc3339(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
