"""How long to wait before the next attempt: full jitter, bounded, without a bound on attempts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Bounds of the waits."""

    base_seconds: float = 0.1
    cap_seconds: float = 30.0
    longest_wish_seconds: float = 300.0
    """A sink's own wish is granted up to this."""


def delay_seconds(
    attempt: int,
    jitter: float,
    settings: RetrySettings,
    wished_seconds: float | None = None,
) -> float:
    """Seconds before the next attempt after `attempt` failures (0 = the first just failed).

    `jitter` is a random number from 0 to 1. The wait is that part of base * 2**attempt, at most the cap
    ("full jitter", AWS Architecture Blog, 2015), and never shorter than what the sink wished for.
    """
    bound = min(settings.cap_seconds, settings.base_seconds * 2.0 ** min(attempt, 60))
    wish = min(wished_seconds or 0.0, settings.longest_wish_seconds)
    return max(bound * jitter, wish)
