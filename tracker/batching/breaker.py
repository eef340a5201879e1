"""A sink's circuit breaker as a pure state machine: closed, open, half-open with exactly one probe.

It is told about connection-level failures only; who asks, waits and sends is `gate`. Every method gives the
next state. The clock is passed in, in seconds of any steady clock.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"  # everything
    OPEN = "open"  # nothing until a time
    HALF_OPEN = "half-open"  # the one probe that is under way


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens and for how long."""

    failures: int = 5
    """Failures in a row that open it."""
    open_seconds: float = 1.0
    """How long it stays open the first time; doubles with each failed probe."""
    longest_seconds: float = 30.0
    """The most it stays open before another probe."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One state. Results carry the `generation` at which their write was admitted; late ones are nothing."""

    settings: BreakerSettings = BreakerSettings()
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    """Failures in a row while closed."""
    openings: int = 0
    """Openings in a row without a success."""
    open_until: float = 0.0
    generation: int = 0

    def permits_in(self, now: float) -> float | None:
        """Seconds until a write may start: 0 = now, None = not before the probe under way is judged."""
        if self.state is BreakerState.CLOSED:
            return 0.0
        if self.state is BreakerState.HALF_OPEN:
            return None
        return max(0.0, self.open_until - now)

    def admitted(self, now: float) -> "Breaker":
        """After a write was let through, which needs `permits_in` to be 0."""
        if self.permits_in(now) != 0:
            raise ValueError(f"a write was admitted by a breaker that is {self.state}")
        if self.state is BreakerState.CLOSED:
            return self
        return replace(self, state=BreakerState.HALF_OPEN, generation=self.generation + 1)

    def succeeded(self, generation: int) -> "Breaker":
        """After the sink answered a write, whatever it said."""
        if generation != self.generation:
            return self
        if self.state is BreakerState.CLOSED:
            return replace(self, failures=0) if self.failures else self
        return Breaker(self.settings, generation=self.generation + 1)

    def failed(self, generation: int, now: float, jitter: float) -> "Breaker":
        """After a write found the sink away; `jitter` is a random number from 0 to 1."""
        if generation != self.generation:
            return self
        if self.state is BreakerState.CLOSED and self.failures + 1 < self.settings.failures:
            return replace(self, failures=self.failures + 1)
        return self._opened(now, jitter)

    def abandoned(self, generation: int, now: float) -> "Breaker":
        """After a write that was let through ended without saying anything about the sink."""
        if generation != self.generation or self.state is not BreakerState.HALF_OPEN:
            return self
        return replace(self, state=BreakerState.OPEN, open_until=now, generation=self.generation + 1)

    def _opened(self, now: float, jitter: float) -> "Breaker":
        grown = self.settings.open_seconds * 2.0 ** min(self.openings, 30)
        seconds = min(self.settings.longest_seconds, grown * (0.75 + 0.5 * jitter))
        return Breaker(
            self.settings,
            BreakerState.OPEN,
            openings=self.openings + 1,
            open_until=now + seconds,
            generation=self.generation + 1,
        )
