"""A row's columns -> the one line of JSON that every store gets."""

from typing import Any

import orjson

from tracker.events import Row


def encode(table: str, columns: dict[str, Any]) -> Row:
    """The row as one line. Column text has no NUL (stores differ on it); params keep theirs."""
    try:
        line = orjson.dumps(columns)
    except TypeError:  # something that no body can hold, but a URL or header could
        columns = _readable(columns)
        line = orjson.dumps(columns)
    if b"\\u0000" in line:
        line = orjson.dumps(
            {name: kept for name, value in columns.items() if (kept := _without_nul(value)) != ""}
        )
    return Row(table, line)


def _without_nul(value: Any) -> Any:
    return value.replace("\x00", "") if isinstance(value, str) else value


def _readable(value: Any) -> Any:
    """The value with lone surrogates replaced and integers beyond 64 bits as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value
