"""How a spool is set up and what it says of itself; values only."""

from collections.abc import Mapping
from dataclasses import dataclass

from tracker.batching.spool_files import Durability

GIB = 1024**3
CHUNK_BYTES = 1024 * 1024
WAL_LIMIT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """How a spool behaves; bytes count rows as they are stored."""

    durability: Durability = Durability.POWER_LOSS
    max_bytes: int = 10 * GIB
    remember_ids: int = 1_000_000
    remember_for_seconds: float = 86_400.0
    chunk_bytes: int = CHUNK_BYTES
    wal_limit_bytes: int = WAL_LIMIT_BYTES


@dataclass(frozen=True, slots=True)
class SpoolState:
    """The spool as metrics and readiness show it."""

    live_bytes: int
    max_bytes: int
    file_bytes: int
    wal_bytes: int
    remembered_ids: int
    unfinished_batches: int
    failure: str
    """Why it cannot write now, '' when it can."""

    @property
    def is_full(self) -> bool:
        """Nothing more is accepted until something was delivered."""
        return self.live_bytes >= self.max_bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """What a commit did."""

    retries: tuple[int, ...]
    """Positions of entries that were stored before: nothing of them was stored again."""
    rows: Mapping[str, int]
    """Rows stored per table."""
