"""What something sent has become once it is worked out: rows to store, and what is told and counted of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tracker.events import Entry, Identity
from tracker.metrics import Metrics
from tracker.steps.protect import KEEP, Decision
from tracker.steps.withholding import dropped


class Prepared(NamedTuple):
    """One event (or record) as it will be stored."""

    identity: Identity
    entry: Entry
    faults: tuple[str, ...]
    """Reasons for which values were kept in params instead of their column."""
    new_host: str = ""
    """The host whose name this entry writes down."""
    decision: Decision = KEEP
    """Why it is not stored as it was sent."""


def not_stored(row: dict[str, Any], decision: Decision) -> Prepared:
    """Nothing of it but that something came; `row` has its time, and the ids that its sender is told."""
    told = dropped(row, decision)
    return Prepared(told.identity, Entry(told.rows, told.client_id), (), decision=decision)


def counted(faults: Sequence[str], metrics: Metrics) -> tuple[str, ...]:
    """The faults, each counted under its reason."""
    for fault in faults:
        metrics.field_faults.labels(fault).inc()
    return tuple(faults)
