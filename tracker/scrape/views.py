"""What a scrape reads: the state of spool and deliveries, as small protocols that their snapshots satisfy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Totals(Protocol):
    """The persisted numbers of one table for one sink: accepted = delivered + dead + waiting + dropped."""

    @property
    def sink(self) -> str:
        """Name of the sink."""

    @property
    def table(self) -> str:
        """Name of the table."""

    @property
    def accepted(self) -> int:
        """Rows acknowledged since this sink was new."""

    @property
    def delivered(self) -> int:
        """Rows the sink has."""

    @property
    def dead(self) -> int:
        """Rows among the dead letters now."""

    @property
    def waiting(self) -> int:
        """Rows that wait, sealed ones included."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Rows given up, by reason."""


class TableState(Protocol):
    """One table on its way to one sink, since this process started."""

    @property
    def table(self) -> str:
        """Name of the table."""

    @property
    def strategy(self) -> str:
        """Name of its batching strategy."""

    @property
    def limits(self) -> Mapping[str, float]:
        """What bounds a batch now: `rows`, `bytes`, `seconds`; an adaptive strategy moves them."""

    @property
    def batches(self) -> int:
        """Batches done."""

    @property
    def rows(self) -> int:
        """Rows in them."""

    @property
    def failures(self) -> int:
        """Writes that did not end in a finished batch."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait, not yet sealed."""

    @property
    def oldest_at(self) -> float | None:
        """Unix seconds at which the oldest row not yet sealed was accepted, None when there is none."""

    @property
    def held(self) -> str | None:
        """Why delivery of this table holds, None when it does not."""

    @property
    def trouble(self) -> str | None:
        """What kind of failure its last write was, None when it was none."""


class DeliveryState(Protocol):
    """One sink's delivery."""

    @property
    def sink(self) -> str:
        """Name of the sink."""

    @property
    def is_open(self) -> bool:
        """The sink is connected."""

    @property
    def breaker(self) -> str:
        """closed, open or half-open."""

    @property
    def in_flight(self) -> int:
        """Writes under way."""

    @property
    def in_flight_limit(self) -> int:
        """Writes that may be under way at once."""

    @property
    def last_error(self) -> str | None:
        """What the sink said last when it refused, None after a success."""

    @property
    def last_success_at(self) -> float | None:
        """Unix seconds of the last finished batch of this process."""

    @property
    def tables(self) -> Sequence[TableState]:
        """Every table that had anything for this sink."""


class SpoolState(Protocol):
    """The spool's own size."""

    @property
    def live_bytes(self) -> int:
        """Bytes of rows that wait."""

    @property
    def max_bytes(self) -> int:
        """The most they may be."""

    @property
    def dead_bytes(self) -> int:
        """Bytes of the dead letters, which have room of their own."""

    @property
    def dead_max_bytes(self) -> int:
        """The most they may be."""

    @property
    def damaged_files(self) -> int:
        """Damaged spools that were put aside and still lie there."""

    @property
    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""

    @property
    def remembered_ids(self) -> int:
        """Client event ids that are remembered."""


class Sources(Protocol):
    """Where a scrape looks."""

    async def totals(self) -> Sequence[Totals]:
        """All tables of all sinks, from one consistent read."""

    def deliveries(self) -> Sequence[DeliveryState]:
        """One for each sink."""

    def spool_state(self) -> SpoolState:
        """The spool now."""

    def memory_bytes(self) -> int:
        """Bytes held in memory, on their way to the disk."""


class Spooler(Protocol):
    """The part of the batcher that a scrape reads."""

    async def totals(self) -> Sequence[Totals]:
        """All tables of all sinks, from one consistent read."""

    def state(self) -> SpoolState:
        """The spool now."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes held in memory, on their way to the disk."""


class Delivering(Protocol):
    """The part of a delivery that a scrape reads."""

    def snapshot(self) -> DeliveryState:
        """This sink's delivery now."""


@dataclass(frozen=True, slots=True)
class ProcessSources:
    """The sources of a whole process: its batcher and one delivery for each sink."""

    spooler: Spooler
    sinks: Sequence[Delivering]

    async def totals(self) -> Sequence[Totals]:
        """All tables of all sinks, from one consistent read."""
        return await self.spooler.totals()

    def deliveries(self) -> Sequence[DeliveryState]:
        """One for each sink."""
        return [sink.snapshot() for sink in self.sinks]

    def spool_state(self) -> SpoolState:
        """The spool now."""
        return self.spooler.state()

    def memory_bytes(self) -> int:
        """Bytes held in memory, on their way to the disk."""
        return self.spooler.waiting_bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one scrape saw."""

    totals: Sequence[Totals]
    deliveries: Sequence[DeliveryState]
    spool: SpoolState
    memory_bytes: int
    now: float
    """Unix seconds."""
    started_at: float
    """Unix seconds at which the process started."""


def difference(totals: Totals) -> int:
    """Rows that are unaccounted for: 0, always."""
    accounted = totals.delivered + totals.dead + totals.waiting + sum(totals.dropped.values())
    return totals.accepted - accounted


def oldest_age(table: TableState, now: float) -> float:
    """Seconds that the oldest waiting row is old, 0 when nothing waits."""
    return 0.0 if table.oldest_at is None else max(0.0, now - table.oldest_at)
