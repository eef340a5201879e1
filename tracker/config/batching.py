"""When each table's rows leave: every table's defaults, and how settings lie upon each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tracker.config.sections import TableBatching
from tracker.config.services import Service
from tracker.tables import CATALOGUE

DEFAULT = "default"
"""The name in `Batching` for what every table gets that does not say otherwise."""


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """One table's strategy with everything it needs."""

    strategy: str = "hybrid"
    max_batch_size: int = 1000
    max_batch_time_seconds: float = 2.0
    max_memory_mb: float = 8.0
    max_age_seconds: float = 60.0
    target_latency_seconds: float = 1.0
    priority: int = 3


def _rows(text: str) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for line in text.split("\n"):
        names, strategy, rows, wait, memory, priority = line.rsplit(None, 5)
        layer = {
            "strategy": strategy,
            "max_batch_size": int(rows),
            "max_batch_time_seconds": float(wait),
            "max_memory_mb": float(memory),
            "priority": int(priority),
        }
        found |= {name: MappingProxyType(layer) for name in names.split(", ")}
    return found


# tables, strategy, most rows, longest wait in seconds, most MiB, priority: those of the original.
TABLE_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    _rows(
        """\
events                      hybrid    100000 10 100 2
mthreads                    time      10000 5 5 2
mstore                      hybrid    500 3 8 4
mtriage                     hybrid    50 2 2 1
payments, ltv, instant      immediate 1 0 1 1
impression_daily            hybrid    250 4 6 3
visitor_interests           hybrid    500 3 5 3
agreements, agreed          hybrid    100 3 2 3
redirects                   hybrid    200 2 3 2
redirect_history            hybrid    500 5 5 4
counters                    hybrid    300 3 3 3
updates                     hybrid    200 4 3 4
logs                        hybrid    1000 5 8 4
ips                         hybrid    500 3 4 3
hits                        hybrid    1000 2 8 2
dailies                     time      200 10 4 4
outcomes                    hybrid    300 3 4 2
referrers                   hybrid    400 4 5 3
hosts                       hybrid    200 5 3 4
browsers                    hybrid    300 4 3 4
userhosts, usernames, cells hybrid    200 4 3 3
emails                      hybrid    200 3 3 3
reqs                        hybrid    500 3 5 3
visitors                    hybrid    200 10 8 3
visitors_latest, routed     hybrid    200 2 8 3
sessions                    hybrid    300 3 8 3
referrals, referred         hybrid    300 3 8 3
nodes                       hybrid    200 5 8 3
locations                   hybrid    300 4 8 3
aliases                     hybrid    100 5 8 3"""
    )
)

TABLES = (DEFAULT, *sorted({*TABLE_DEFAULTS, *CATALOGUE}))
"""The names that `Batching` knows."""


def resolve(table: str, batching: Mapping[str, TableBatching], sink: Service | None = None) -> BatchSettings:
    """Each value comes from the first place that gives it: the table's entry in `Batching`, the sink's entry
    in `Notify`, `Batching.default`, the table's default of above, the built-in one.
    """
    layers = [
        _given(batching.get(DEFAULT)),
        _of_sink(sink),
        _given(batching.get(table)),
    ]
    merged = {name: value for layer in layers for name, value in layer.items()}
    return BatchSettings(**{**_own_default(table, merged.get("strategy")), **merged})


def _own_default(table: str, strategy: str | None) -> Mapping[str, Any]:
    own = TABLE_DEFAULTS.get(table, {})
    # One row and no waiting are what `immediate` means; under another strategy they would defeat it.
    if own.get("strategy") == "immediate" and strategy not in (None, "immediate"):
        return {"priority": own["priority"]}
    return own


def _given(entry: TableBatching | None) -> dict[str, Any]:
    return {} if entry is None else entry.model_dump(exclude_none=True)


def _of_sink(sink: Service | None) -> dict[str, Any]:
    if sink is None:
        return {}
    wait = sink.max_batch_time_seconds
    layer = {
        "strategy": None if sink.batching_enabled else "immediate",
        "max_batch_size": sink.max_batch_size,
        "max_batch_time_seconds": sink.batch_flush_interval_seconds if wait is None else wait,
        "max_memory_mb": sink.max_memory_mb,
    }
    return {name: value for name, value in layer.items() if value is not None}
