"""One sent value -> the form its column holds, or `Misfit`; for which column, the caller knows."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import orjson

from tracker.errors import BadHit
from tracker.steps import ids
from tracker.steps.json_input import MOST_DEPTH, loads

MOST_NANOSECONDS = 2**63 - 1
"""Since 1970: in the year 2262, where the stores' own types of time end."""

_is_integer = re.compile(r"[+-]?[0-9]{1,40}").fullmatch
_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_is_time = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}){2}[Tt ][0-9]{2}(?::[0-9]{2}){2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?"
).fullmatch
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class Misfit(ValueError):
    """The value cannot be held by its column: keep it elsewhere. `kept` is the part that can be."""

    def __init__(self, kept: list[str] | None = None) -> None:
        super().__init__()
        self.kept = kept


def text(value: Any) -> str:
    """Text as it was sent; a number or bool as its JSON text. Raises Misfit for objects and arrays."""
    if type(value) is str:
        return value
    if type(value) is dict or type(value) is list:
        raise Misfit
    return orjson.dumps(value).decode("ascii")


def integer(value: Any, least: int, most: int) -> int:
    """A number, or text that is one, without its fraction; 0 for empty text.

    Raises Misfit for anything else and for what is not in least..most.
    """
    if type(value) is int:
        number = value
    elif type(value) is float:
        number = int(value)
    elif type(value) is str:
        number = _integer_of(value.strip())
    else:
        raise Misfit
    if not least <= number <= most:
        raise Misfit
    return number


def _integer_of(digits: str) -> int:
    if not digits:
        return 0
    return int(digits) if _is_integer(digits) else int(_real_of(digits))


def real(value: Any) -> float:
    """A finite number, or text that is one; 0.0 for empty text. Raises Misfit for anything else."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if type(value) is str:
        return _real_of(value.strip()) if value.strip() else 0.0
    raise Misfit


def _real_of(digits: str) -> float:
    if not _is_number(digits):
        raise Misfit
    number = float(digits)
    if math.isinf(number):
        raise Misfit
    return number


def flag(value: Any) -> bool:
    """A bool, or 1 or 0, or text of either. Raises Misfit for anything else."""
    kept = _FLAGS.get(text(value).strip().lower())
    if kept is None:
        raise Misfit
    return kept


def moment(value: Any) -> str:
    """A time as a row holds it, to the millisecond.

    Taken are `2026-11-22T04:00:00.123+01:00`, also with a blank instead of T and without an offset (UTC
    then), and seconds since 1970. Raises Misfit for anything else, before 1970, and after the stores' end.
    """
    if type(value) is str and _is_time(value.strip()):
        instant = _instant_of(value.strip().upper())
    else:
        seconds = real(value)
        if not 0 <= seconds <= MOST_NANOSECONDS // 10**9:
            raise Misfit
        instant = datetime.fromtimestamp(seconds, UTC)
    return f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _instant_of(iso: str) -> datetime:
    try:
        read = datetime.fromisoformat(iso)
        instant = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Misfit from error
    if not 0 <= instant.timestamp() <= MOST_NANOSECONDS // 10**9:
        raise Misfit
    return instant


def identifier(value: Any) -> str:
    """A UUID in any form. Raises Misfit for anything else."""
    known = ids.parse(value) if type(value) is str else None
    if known is None:
        raise Misfit
    return known


def texts(value: Any) -> list[str]:
    """The texts of an array, of JSON text of one, or of a comma list: trimmed, without NUL and empty ones.

    Raises Misfit for anything else, and for other items than texts: these are left out of `kept`.
    """
    return _whole_or_kept([_trimmed(item) for item in _items(value)])


def identifiers(value: Any) -> list[str]:
    """The UUIDs of an array, of JSON text of one, or of a comma list.

    Raises Misfit for anything else, and for other items than UUIDs: these are left out of `kept`.
    """
    return _whole_or_kept([ids.parse(item) if type(item) is str else None for item in _items(value)])


def _items(value: Any) -> list[Any]:
    if type(value) is str:
        if not value.lstrip().startswith("["):
            return [item for item in value.split(",") if item.strip()]
        value = _read(value)
    if type(value) is not list:
        raise Misfit
    return value


def _trimmed(item: Any) -> str | None:
    return item.replace("\x00", "").strip() if type(item) is str else None


def _whole_or_kept(items: list[str | None]) -> list[str]:
    """The items without empty ones, if none is None."""
    kept = [item for item in items if item]
    if None in items:
        raise Misfit(kept)
    return kept


def document(value: Any) -> dict[str, Any]:
    """An object. Raises Misfit for anything else, also for an array: ClickHouse's JSON columns take none."""
    if type(value) is dict:
        return value
    raise Misfit


def opened(value: Any) -> dict[str, Any]:
    """An object, or JSON text of one. Raises Misfit for anything else."""
    return document(_read(value) if type(value) is str else value)


def _read(json_text: str) -> Any:
    try:
        return loads(json_text, MOST_DEPTH)
    except BadHit as error:
        raise Misfit from error


def written(value: Any) -> str:
    """Text as it was sent, anything else as its JSON text; an empty object or array is ''."""
    if type(value) is str:
        return value
    if value in ({}, []):
        return ""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # something that no body can hold
        raise Misfit from error
