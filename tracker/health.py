"""How the collector is, for `/readyz`, `/health` and `/sink-health`: reads snapshots, touches no store.

What a store said in its own words (paths, hosts, versions) is for operators; whoever else asks is told which
sink or table is in trouble and of what kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from tracker import __version__
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.snapshot import DeliverySnapshot, TableSnapshot


class CollectorHealth:
    """Answers from memory. `is_stopping` turns true with the first signal to stop."""

    def __init__(self, batcher: Batcher, deliveries: Sequence[Delivery], clock: Callable[[], float]) -> None:
        self._batcher = batcher
        self._deliveries = deliveries
        self._clock = clock
        self._started_at = clock()
        self.is_stopping = False

    def ready(self, with_details: bool = False) -> tuple[bool, dict[str, Any]]:
        """False only while nothing can be accepted; stores that are away or hold are named in any case.

        With details, in the words of the stores.
        """
        reasons = self._reasons()
        body: dict[str, Any] = {"ready": not reasons, "reasons": reasons}
        ailing = {
            snapshot.sink: troubles
            for snapshot in self._snapshots()
            if (troubles := _troubles(snapshot if with_details else _discreet(snapshot)))
        }
        return not reasons, {**body, "sinks": ailing}

    def health(self) -> dict[str, Any]:
        """Status, version, uptime, and each sink's state in a word."""
        is_ready, _ = self.ready()
        return {
            "status": "ok" if is_ready else "unavailable",
            "version": __version__,
            "uptime_seconds": round(self._clock() - self._started_at, 3),
            "sinks": {snapshot.sink: _word(snapshot) for snapshot in self._snapshots()},
        }

    def sinks(self, with_details: bool = False) -> dict[str, Any]:
        """Each sink's delivery, table by table; with details, `last_error` is in the words of the stores."""
        return {
            snapshot.sink: {
                "status": _word(snapshot),
                **asdict(snapshot if with_details else _discreet(snapshot)),
            }
            for snapshot in self._snapshots()
        }

    def _snapshots(self) -> list[DeliverySnapshot]:
        return [delivery.snapshot() for delivery in self._deliveries]

    def _reasons(self) -> list[str]:
        state = self._batcher.state()
        reasons = ["stopping"] if self.is_stopping else []
        if state.is_full:
            reasons.append("spool full")
        if state.failure:
            reasons.append(f"spool failing: {state.failure}")
        return reasons


def _discreet(snapshot: DeliverySnapshot) -> DeliverySnapshot:
    tables = tuple(replace(table, last_error=table.trouble) for table in snapshot.tables)
    return replace(snapshot, last_error=snapshot.trouble, tables=tables)


def _troubles(snapshot: DeliverySnapshot) -> list[str]:
    troubles = [f"{table.table} holds: {table.held}" for table in snapshot.tables if table.held]
    if snapshot.breaker != "closed":
        return [*troubles, f"breaker {snapshot.breaker}: {snapshot.last_error}"]
    if snapshot.last_error:
        return [*troubles, snapshot.last_error]
    return troubles + [
        f"{table.table}: {table.last_error}" for table in snapshot.tables if _is_failing(table)
    ]


def _is_failing(table: TableSnapshot) -> bool:
    return table.trouble is not None and table.held is None


def _word(snapshot: DeliverySnapshot) -> str:
    if snapshot.breaker != "closed" or snapshot.last_error:
        return "unavailable"
    if any(table.held for table in snapshot.tables):
        return "holding"
    return "degraded" if any(map(_is_failing, snapshot.tables)) else "ok"
