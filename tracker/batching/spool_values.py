"""How a spool is set up and what it says of itself; values only."""

from collections.abc import Mapping
from dataclasses import dataclass

from tracker.batching.spool_files import Durability

GIB = 1024**3
CHUNK_BYTES = 1024 * 1024
WAL_LIMIT_BYTES = 32 * 1024 * 1024
MOST_SPARE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptDead:
    """How many dead letters are kept; beyond either the oldest go."""

    max_bytes: int = GIB
    max_age_seconds: float = 90 * 86_400.0


KEPT_DEAD = KeptDead()


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """How a spool behaves; bytes count rows as they are stored."""

    durability: Durability = Durability.POWER_LOSS
    max_bytes: int = 10 * GIB
    remember_ids: int = 1_000_000
    remember_for_seconds: float = 86_400.0
    chunk_bytes: int = CHUNK_BYTES
    wal_limit_bytes: int = WAL_LIMIT_BYTES
    dead_letters: KeptDead = KEPT_DEAD


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
    dead_bytes: int
    """Bytes of the dead letters; they have room of their own beside `max_bytes`."""
    dead_max_bytes: int
    damaged_files: int
    """Damaged spools that lie beside this one, kept aside."""

    @property
    def is_full(self) -> bool:
        """There is hardly room for a group of rows until something was delivered."""
        return self.max_bytes - self.live_bytes < min(self.max_bytes // 20, MOST_SPARE_BYTES)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a commit did."""

    retries: tuple[int, ...]
    """Positions of entries that were stored before: nothing of them was stored again."""
    rows: Mapping[str, int]
    """Rows stored per table."""
