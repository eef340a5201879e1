"""Lengths of time and sizes as people write them: `1.5s`, `1h30m`, `8MiB`. Knows nothing about any key."""

import math
import re

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern}\s*)+", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d{1,20})\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.ASCII)
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
MAX_SECONDS = 100 * 366 * 86400.0
"""A longer time is a mistake."""
MAX_DAYS = int(MAX_SECONDS // 86400)
MAX_BYTES = 2**63 - 1


def seconds(value: float | str, number_is: float = 1.0) -> float:
    """Seconds of `10s`, `500ms`, `1h30m`, `7d`, or of a number whose unit is `number_is` seconds.

    Raises ValueError for anything else, for a negative, an endless or a more than hundred years long time.
    """
    total = _text_seconds(value) if isinstance(value, str) else _number_seconds(value, number_is)
    if not math.isfinite(total) or not 0 <= total <= MAX_SECONDS:
        raise ValueError("from 0 to 100 years")
    return total


def _text_seconds(text: str) -> float:
    if len(text) > 64 or not _DURATION.fullmatch(text.strip()):
        raise ValueError("no unit")
    # Rounded to the nanosecond: 0.1 * 3 must read as 0.3 when it is shown again.
    return round(sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)), 9)


def _number_seconds(number: float, unit: float) -> float:
    if abs(number) > MAX_SECONDS / unit:
        return math.inf
    return round(float(number) * unit, 9)


def size(value: int | str) -> int:
    """Bytes of `8MiB`, `64KB` or a whole number. Raises ValueError for anything else or a negative size."""
    number = _text_bytes(value) if isinstance(value, str) else value
    if not 0 <= number <= MAX_BYTES:
        raise ValueError("out of range")
    return number


def _text_bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("no unit")
    return int(match[1]) * _BYTES[match[2]]
