"""How the collector is, for `/readyz`, `/health` and `/sink-health`: reads snapshots, touches no store."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tracker import __version__
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.snapshot import DeliverySnapshot


class CollectorHealth:
    """Answers from memory. `is_stopping` turns true with the first signal to stop."""

    def __init__(self, batcher: Batcher, deliveries: Sequence[Delivery], clock: Callable[[], float]) -> None:
        self._batcher = batcher
        self._deliveries = deliveries
        self._clock = clock
        self._started_at = clock()
        self.is_stopping = False

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """False only while nothing can be accepted; stores that are away or hold are named in any case."""
        reasons = self._reasons()
        body: dict[str, Any] = {"ready": not reasons, "reasons": reasons}
        ailing = {
            snapshot.sink: troubles for snapshot in self._snapshots() if (troubles := _troubles(snapshot))
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

    def sinks(self) -> dict[str, Any]:
        """Each sink's delivery, table by table."""
        return {
            snapshot.sink: {"status": _word(snapshot), **asdict(snapshot)} for snapshot in self._snapshots()
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


def _troubles(snapshot: DeliverySnapshot) -> list[str]:
    troubles = [f"{table.table} holds: {table.held}" for table in snapshot.tables if table.held]
    if snapshot.breaker != "closed":
        troubles.append(f"breaker {snapshot.breaker}: {snapshot.last_error}")
    elif snapshot.last_error:
        troubles.append(snapshot.last_error)
    return troubles


def _word(snapshot: DeliverySnapshot) -> str:
    if not _troubles(snapshot):
        return "ok"
    return "holding" if snapshot.breaker == "closed" and not snapshot.last_error else "unavailable"
