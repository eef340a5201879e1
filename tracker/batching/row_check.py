"""Whether a row is as the catalogue of tables says, for rows that did not come through the steps.

It changes nothing and coerces nothing: each value must have the form in which a row carries its column.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from tracker.tables import CATALOGUE, Kind

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{3}Z", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,29}(?:\.\d{1,9})?", re.ASCII)
_NANOTIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{9}Z", re.ASCII)


def problem_of(table: str, row: Any) -> str:
    """Why this is no row of the table, '' when it is one. Never shows a value."""
    known = CATALOGUE.get(table)
    if known is None:
        return f"there is no table {table}"
    if not isinstance(row, dict):
        return "not a JSON object"
    kinds = known.kinds()
    for name, value in row.items():
        if name not in kinds:
            return f"column {name}: table {table} has no such column"
        if not _FITS[kinds[name]](value):
            return f"column {name}: not the form of {kinds[name].value}"
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_decimal(value: Any) -> bool:
    return isinstance(value, str) and _DECIMAL.fullmatch(value) is not None


def _is_array_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _is_time(pattern: re.Pattern[str], last_year: int) -> Callable[[Any], bool]:
    """Within the years that every store's type holds: ClickHouse turns others into its first or last."""

    def fits(value: Any) -> bool:
        found = pattern.fullmatch(value) if isinstance(value, str) else None
        return found is not None and 1970 <= int(found[1][:4]) <= last_year and _is_read(found[1])

    return fits


def _is_read(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_FITS: Mapping[Kind, Callable[[Any], bool]] = MappingProxyType(
    {
        Kind.UUID: _is_uuid,
        Kind.TEXT: _is_text,
        Kind.LABEL: _is_text,
        Kind.INT8: _is_whole(-(2**7), 2**7 - 1),
        Kind.INT16: _is_whole(-(2**15), 2**15 - 1),
        Kind.INT32: _is_whole(-(2**31), 2**31 - 1),
        Kind.INT64: _is_whole(-(2**63), 2**63 - 1),
        Kind.UINT32: _is_whole(0, 2**32 - 1),
        Kind.UINT64: _is_whole(0, 2**64 - 1),
        Kind.FLOAT64: _is_number,
        Kind.DECIMAL: _is_decimal,
        Kind.BOOL: lambda value: type(value) is bool,
        Kind.TIMESTAMP: _is_time(_TIMESTAMP, 2262),
        Kind.NANOTIME: _is_time(_NANOTIME, 2262),
        Kind.DATE: _is_time(_DATE, 2148),
        Kind.JSON: lambda value: isinstance(value, dict),
        Kind.TEXTS: _is_array_of(_is_text),
        Kind.UUIDS: _is_array_of(_is_uuid),
    }
)
