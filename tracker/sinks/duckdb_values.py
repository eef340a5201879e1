"""Values as DuckDB's driver gives them -> what JSON can say. Pure."""

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1


def converters(types: list[str]) -> list[Callable[[Any], Any]]:
    """One function per column, by DuckDB's name of its type; the text of a JSON column is read."""
    return [_read_json if name == "JSON" else plain for name in types]


def plain(value: Any) -> Any:
    """str, int, float, bool, None, list or dict; times as `2026-11-22 03:00:00.123` in UTC, bytes in hex.

    Integers beyond 64 bits, decimals, and what is not finite become text.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if _LEAST_INTEGER <= value <= _MOST_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"  # never with an exponent: 0 of nine places is 0.000000000
    if isinstance(value, UUID | timedelta):
        return str(value)
    return repr(value)


def _read_json(value: Any) -> Any:
    """What the text says; the text itself when it cannot be said in Python."""
    if not isinstance(value, str):
        return plain(value)
    try:
        return plain(json.loads(value))
    except (ValueError, RecursionError):
        return value
