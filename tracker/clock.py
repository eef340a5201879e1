"""The time as the rest of the project writes it; nothing here keeps state between calls but a cache."""

import time
from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=8)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=8)
def timestamp_text(unix_seconds: float) -> str:
    """`2026-11-22 03:00:00.123Z`: the form of a time that every store reads."""
    milliseconds = int(unix_seconds * 1000)
    second, rest = divmod(milliseconds, 1000)
    return f"{_second_text(second)}.{rest:03d}Z"


def date_text(unix_seconds: float) -> str:
    """`2026-11-22`: the UTC day of a time."""
    return _second_text(int(unix_seconds))[:10]


def now() -> float:
    """Unix seconds; passed in wherever a decision depends on it."""
    return time.time()
