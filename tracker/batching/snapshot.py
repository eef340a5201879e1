"""What delivery says about itself at one moment, for metrics, health and the `batching` numbers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """One table's delivery to one sink, since the start of the process."""

    table: str
    strategy: str
    limits: Mapping[str, float]
    """What bounds a batch now: `rows`, `bytes` and `seconds` of waiting; `adaptive` moves its rows."""
    priority: int
    batches: int
    """Batches that took effect."""
    rows: int
    """Rows that took effect."""
    failures: int
    """Attempts that did not end well, for whatever reason."""
    dead: int
    """Rows put aside as dead letters."""
    write_seconds: float
    """Time spent in the writes that took effect, in all."""
    waiting_rows: int
    """Rows not yet cut into a batch."""
    waiting_bytes: int
    oldest_at: float | None
    """Unix seconds at which the oldest row not yet cut was accepted, None when there is none."""
    sealed_rows: int
    """Rows cut into batches that have not taken effect yet."""
    is_in_flight: bool
    """A write is under way."""
    held: str | None
    """Why this table waits for a person, None when it does not."""
    last_error: str | None
    """What the last failed attempt said; None after a success."""
    last_success_at: float | None
    """Unix seconds."""
    trouble: str | None = None
    """`last_error` in a word or two that anybody may see; None also where the sink gave a verdict on rows."""


@dataclass(frozen=True, slots=True)
class DeliverySnapshot:
    """One sink's delivery."""

    sink: str
    is_open: bool
    breaker: str
    """closed, open or half-open."""
    in_flight: int
    in_flight_limit: int
    last_error: str | None
    """Why the sink was last unavailable; None after a success."""
    last_success_at: float | None
    """Unix seconds."""
    tables: tuple[TableSnapshot, ...]
    trouble: str | None = None
    """`last_error` in a word or two that anybody may see."""
