"""What batching's parts say to each other: the state a strategy judges, the queue delivery works from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tracker.events import Batch


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of one table waits, not yet sealed, for one sink."""

    rows: int
    bytes: int
    oldest_at: float
    """Unix seconds at which the oldest waiting row was accepted."""
    rows_per_second: float = 0.0
    """Arrival rate of the last seconds."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch whose id and membership are fixed: rows first..last of a table's sequence, less `skipped`."""

    id: str
    sink: str
    table: str
    first: int
    last: int
    rows: int
    skipped: frozenset[int] = frozenset()
    """Sequence numbers inside first..last that are no part of this batch (put aside by a parent)."""
    is_repeat: bool = False
    """It was sealed by an earlier process, so it may have been sent already."""
    is_replay: bool = False
    """Its rows were dead letters that a person sent again."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a batch that could not be loaded."""

    left: Sealed | None
    """The same batch with the rows that are left; None when none is, or when it cannot be told which are."""
    lost: int
    """Rows that are counted as lost; 0 when it cannot be told: then it waits for the next start."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a sink said of a table's last rows, in order."""

    runs: tuple[tuple[int, int], ...] = ()
    """So many rows taken, then so many rejected."""


class Strategy(Protocol):
    """When a table's waiting rows should go. A frozen value; the clock is passed in."""

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """Seconds until a batch should be cut: 0 = now, None = not before more rows arrive."""

    @property
    def cut_rows(self) -> int:
        """The most rows one batch may have."""

    @property
    def cut_bytes(self) -> int:
        """The most bytes one batch may have."""


class BatchQueue(Protocol):
    """One sink's view of the spool. Methods that touch the disk are coroutines; each is one transaction."""

    def waiting(self, table: str) -> Waiting | None:
        """What waits of this table, None when nothing does. In memory, cheap."""

    def tables(self) -> list[str]:
        """Tables that have anything waiting or sealed for this sink."""

    async def unfinished(self) -> list[Sealed]:
        """Batches sealed earlier and not finished, oldest first."""

    async def seal(self, table: str, max_rows: int, max_bytes: int) -> Sealed | None:
        """Cut the oldest waiting rows into a batch with a new id; None when nothing waits."""

    async def begin(self, sealed: Sealed) -> Sealed | None:
        """Before a batch that waited for its first send is sent: as it is now, perhaps under another id; None
        when nothing is left of it. In one transaction."""

    async def load(self, sealed: Sealed) -> Batch:
        """The batch's bytes, the same at each call. Raises SpoolDamaged when they are not what was stored."""

    async def mend(self, sealed: Sealed) -> Mended:
        """Leave out of a batch that `load` cannot load what is damaged of it, in one transaction."""

    async def finish(self, sealed: Sealed) -> None:
        """The sink has it: counted as delivered, and its rows go when no other sink needs them."""

    async def reject(self, sealed: Sealed, reasons: Mapping[int, str]) -> Sealed | None:
        """Put rows (by position in the batch) among the dead letters and seal the rest as a child, in one
        transaction. None when no row is left."""

    async def halve(self, sealed: Sealed) -> tuple[Sealed, Sealed]:
        """Replace a batch of at least two rows by two sealed children, in one transaction."""

    async def verdicts(self, table: str) -> Verdicts:
        """What is remembered of the sink's last verdicts on this table's rows, earlier processes included."""

    async def forgive(self, table: str) -> None:
        """Forget these verdicts: a person released the table."""
