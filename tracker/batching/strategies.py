"""When a table's waiting rows should go, and how many at once: six strategies as frozen values.

Nothing here waits or cuts: `due_in` answers a question about a state and an instant that are passed in.
A new strategy is one class and one line in `STRATEGIES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol, Self

from tracker.batching.adaptive import Learned, Observation, learn
from tracker.batching.contract import Strategy, Waiting

GROUP_ROWS = 10_000
"""The most rows of one batch of `immediate`: a batch holds commit groups, not a lonely row."""
MEMORY_ROWS = 100_000
"""The most rows of one batch of `memory`, whose measure is bytes."""
SMALLEST_ADAPTIVE_ROWS = 100
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How one table is batched; each strategy uses the fields that concern it."""

    strategy: str = "hybrid"
    max_batch_size: int = 1_000
    """Rows at which `size` and `hybrid` are due, and the most in a batch; `adaptive` stays below it."""
    max_batch_time_seconds: float = 2.0
    """Age of the oldest row at which `time`, `hybrid` and `adaptive` are due."""
    max_memory_mb: float = 8.0
    """Mebibytes at which `hybrid`, `memory` and `adaptive` are due, and the most in their batches."""
    max_age_seconds: float = 60.0
    """Age of the oldest row at which `size` and `memory` are due, so that a quiet table is never stuck."""
    target_latency_seconds: float = 1.0
    """How long a write of `adaptive` should take at most."""
    priority: int = 3
    """Who gets the sink first when several tables want it: 1 before 2."""


class Plan(Strategy, Protocol):
    """A strategy that may become another one by what was seen of a write."""

    @property
    def seconds(self) -> float:
        """The age at which the oldest row makes a batch due at the latest."""

    def after(self, seen: Observation) -> "Plan":
        """The strategy for the next batch."""


class _Fixed:
    """A strategy that learns nothing."""

    __slots__ = ()

    def after(self, seen: Observation) -> Self:
        return self


def _until_age(waiting: Waiting, bound_seconds: float, now: float) -> float:
    """Seconds until the oldest row is that old; never above the bound, whatever the clock does."""
    return min(bound_seconds, max(0.0, waiting.oldest_at + bound_seconds - now))


@dataclass(frozen=True, slots=True)
class Immediate(_Fixed):
    """Everything goes as soon as the sink can take it."""

    cut_bytes: int
    cut_rows: int = GROUP_ROWS
    seconds: float = 0.0

    @classmethod
    def of(cls, settings: BatchSettings, max_batch_bytes: int) -> Self:
        """Made from a table's settings."""
        return cls(max_batch_bytes)

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """Now, whenever there is a row."""
        return 0.0 if waiting.rows else None


@dataclass(frozen=True, slots=True)
class AfterTime(_Fixed):
    """Rows go when the oldest has waited long enough."""

    cut_rows: int
    cut_bytes: int
    seconds: float

    @classmethod
    def of(cls, settings: BatchSettings, max_batch_bytes: int) -> Self:
        """Made from a table's settings."""
        return cls(settings.max_batch_size, max_batch_bytes, settings.max_batch_time_seconds)

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """What is left of the time."""
        return _until_age(waiting, self.seconds, now) if waiting.rows else None


@dataclass(frozen=True, slots=True)
class AtRowCount(_Fixed):
    """Rows go when a full batch waits, or when the oldest reached the bound of a quiet table."""

    cut_rows: int
    cut_bytes: int
    seconds: float

    @classmethod
    def of(cls, settings: BatchSettings, max_batch_bytes: int) -> Self:
        """Made from a table's settings."""
        return cls(settings.max_batch_size, max_batch_bytes, settings.max_age_seconds)

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """Now with enough rows, else what is left of the age."""
        if not waiting.rows:
            return None
        return 0.0 if waiting.rows >= self.cut_rows else _until_age(waiting, self.seconds, now)


@dataclass(frozen=True, slots=True)
class AtByteCount(_Fixed):
    """Rows go when their bytes fill a batch, or when the oldest reached the bound of a quiet table."""

    cut_bytes: int
    seconds: float
    cut_rows: int = MEMORY_ROWS

    @classmethod
    def of(cls, settings: BatchSettings, max_batch_bytes: int) -> Self:
        """Made from a table's settings."""
        return cls(_bytes(settings, max_batch_bytes), settings.max_age_seconds)

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """Now with enough bytes, else what is left of the age."""
        if not waiting.rows:
            return None
        is_full = waiting.bytes >= self.cut_bytes or waiting.rows >= self.cut_rows
        return 0.0 if is_full else _until_age(waiting, self.seconds, now)


@dataclass(frozen=True, slots=True)
class WhicheverFirst(_Fixed):
    """`hybrid`: rows, bytes or time, whichever comes first."""

    cut_rows: int
    cut_bytes: int
    seconds: float

    @classmethod
    def of(cls, settings: BatchSettings, max_batch_bytes: int) -> Self:
        """Made from a table's settings."""
        return cls(
            settings.max_batch_size, _bytes(settings, max_batch_bytes), settings.max_batch_time_seconds
        )

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """Now with enough rows or bytes, else what is left of the time."""
        if not waiting.rows:
            return None
        is_full = waiting.rows >= self.cut_rows or waiting.bytes >= self.cut_bytes
        return 0.0 if is_full else _until_age(waiting, self.seconds, now)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Like `hybrid` with a row limit that is learned from the writes that reached it."""

    learned: Learned
    cut_bytes: int
    seconds: float

    @classmethod
    def of(cls, settings: BatchSettings, max_batch_bytes: int) -> Self:
        """Made from a table's settings."""
        highest = settings.max_batch_size
        learned = Learned.between(
            min(SMALLEST_ADAPTIVE_ROWS, highest), highest, settings.target_latency_seconds
        )
        return cls(learned, _bytes(settings, max_batch_bytes), settings.max_batch_time_seconds)

    @property
    def cut_rows(self) -> int:
        """The row limit as learned so far."""
        return self.learned.rows

    def due_in(self, waiting: Waiting, now: float) -> float | None:
        """Now with enough rows or bytes, else what is left of the time."""
        if not waiting.rows:
            return None
        is_full = waiting.rows >= self.cut_rows or waiting.bytes >= self.cut_bytes
        return 0.0 if is_full else _until_age(waiting, self.seconds, now)

    def after(self, seen: Observation) -> Self:
        """The same strategy with what this write taught."""
        return replace(self, learned=learn(self.learned, seen))


def _bytes(settings: BatchSettings, max_batch_bytes: int) -> int:
    return max(1, min(int(settings.max_memory_mb * MEBIBYTE), max_batch_bytes))


STRATEGIES: Mapping[str, Callable[[BatchSettings, int], Plan]] = MappingProxyType(
    {
        "immediate": Immediate.of,
        "time": AfterTime.of,
        "size": AtRowCount.of,
        "hybrid": WhicheverFirst.of,
        "memory": AtByteCount.of,
        "adaptive": Adaptive.of,
    }
)
"""Every strategy by the name configuration calls it."""


def strategy(name: str, settings: BatchSettings, max_batch_bytes: int) -> Plan:
    """The strategy of that name; no batch of it has more than `max_batch_bytes` (but at least one row).

    Raises ValueError for a name that is not in `STRATEGIES`.
    """
    make = STRATEGIES.get(name)
    if make is None:
        raise ValueError(f"no strategy is called {name!r}; there are: {', '.join(STRATEGIES)}")
    return make(settings, max_batch_bytes)
