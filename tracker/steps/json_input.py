"""Bytes that claim to be JSON -> values that every later step can trust; what they mean is others' business.

orjson reads first. It turns integers beyond 64 bits into floats (or refuses them when they are very long), so
a document that has such a number is read again by the standard library, which keeps it exact, as text.
Where numbers are money, the standard library reads all of them as decimals.
"""

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal, DecimalException
from typing import Any

import orjson

from tracker.errors import BadHit

MOST_DEPTH = 200
"""No document may be deeper than this, whatever is configured: the encoder itself ends at 254."""

MOST_DIGITS = 100
"""Of a number that becomes a decimal, point and exponent among them."""

_WIDE = 2.0**63
_LONG_NUMBER = re.compile(rb"[0-9]{300}")
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1


def loads(data: bytes | bytearray | memoryview | str, max_depth: int) -> Any:
    """One JSON document as Python values; integers outside of -2^63..2^64-1 are their text.

    Containers may be nested `max_depth` deep (a flat object is 1). Raises BadHit, and nothing else, for
    what is no strict JSON (also NaN, lone surrogates, bad UTF-8, numbers beyond a double) or too deep.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _very_long_number(_as_bytes(data), max_depth, error)
    if type(value) is dict or type(value) is list:
        if _has_wide_number(value, min(max_depth, MOST_DEPTH)):
            return _read_exactly(_as_bytes(data))
    elif type(value) is float and not -_WIDE < value < _WIDE:
        return _read_exactly(_as_bytes(data))
    return value


def loads_exactly(data: bytes | str, max_depth: int) -> Any:
    """The same with every number as the Decimal that was written, however large; longer ones are their text.

    No binary fraction is made on the way. Raises BadHit as `loads`.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(text, parse_int=_exactly, parse_float=_exactly, parse_constant=_refuse_constant)
        orjson.dumps(value, default=_nothing)  # a lone surrogate: the standard library lets it pass
    except (ValueError, TypeError) as error:  # malformed, bad UTF-8, NaN, a lone surrogate
        raise BadHit(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise BadHit("too deep: containers are nested deeper than MaxDepth", "too_deep") from error
    _has_wide_number([value], min(max_depth, MOST_DEPTH) + 1)
    return value


def _exactly(digits: str) -> Decimal | str:
    if len(digits) > MOST_DIGITS:
        return digits
    try:
        return Decimal(digits)
    except DecimalException:  # an exponent beyond what decimals have
        return digits


def _nothing(number: Any) -> None:
    """What stands for a decimal where only texts are looked at."""


def _as_bytes(data: bytes | bytearray | memoryview | str) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)


def _has_wide_number(container: dict[str, Any] | list[Any], room: int) -> bool:
    """Whether a float is so large that it may have been sent as an integer; raises BadHit when too deep."""
    if room < 1:
        raise BadHit("too deep: containers are nested deeper than MaxDepth", "too_deep")
    is_wide = False
    items: Iterable[Any] = container.values() if isinstance(container, dict) else container
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict or kind is list:
            if _has_wide_number(item, room - 1):
                is_wide = True
        elif kind is float and not -_WIDE < item < _WIDE:
            is_wide = True
    return is_wide


def _very_long_number(data: bytes, max_depth: int, error: orjson.JSONDecodeError) -> Any:
    """Read what orjson refused, if an integer of hundreds of digits may be all that is wrong with it."""
    if "depth limit" in error.msg:
        raise BadHit("too deep: containers are nested deeper than MaxDepth", "too_deep") from error
    if not _LONG_NUMBER.search(data):
        raise BadHit(f"not valid JSON: {error}") from error
    value = _read_exactly(data)
    _has_wide_number([value], min(max_depth, MOST_DEPTH) + 1)
    try:
        orjson.dumps(value)
    except TypeError as unwritable:  # a lone surrogate: the standard library lets it pass
        raise BadHit(f"not valid JSON: {unwritable}") from unwritable
    return value


def _read_exactly(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_int=_integer_or_text,
            parse_float=_finite_float,
            parse_constant=_refuse_constant,
        )
    except ValueError as error:  # malformed, bad UTF-8, or one of the two refusals below
        raise BadHit(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise BadHit("too deep: containers are nested deeper than MaxDepth", "too_deep") from error


def _integer_or_text(digits: str) -> int | str:
    if len(digits) > 20:
        return digits
    number = int(digits)
    return number if _LEAST_INTEGER <= number <= _MOST_INTEGER else digits


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("number is beyond a double")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
