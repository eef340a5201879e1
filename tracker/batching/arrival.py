"""How fast rows of a table come in: an exponentially weighted rate, a pure function of times passed in."""

import math
from dataclasses import dataclass

MEMORY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ArrivalRate:
    """Rows per second as of `at` (Unix seconds), the last few seconds weighing most."""

    rows_per_second: float = 0.0
    at: float = 0.0

    def as_of(self, now: float) -> float:
        """Rows per second when nothing more arrived until now."""
        return self.rows_per_second * math.exp(-max(0.0, now - self.at) / MEMORY_SECONDS)

    def arrived(self, rows: int, now: float) -> "ArrivalRate":
        """The rate after these rows."""
        return ArrivalRate(self.as_of(now) + rows / MEMORY_SECONDS, max(now, self.at))
