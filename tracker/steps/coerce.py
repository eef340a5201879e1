"""One sent value -> the form its column holds, or `Misfit`; for which column, the caller knows."""

import math
import re
from typing import Any

import orjson

_is_integer = re.compile(r"[+-]?[0-9]{1,40}").fullmatch
_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch


class Misfit(ValueError):
    """The value cannot be held by its column: keep it elsewhere."""


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


def document(value: Any) -> dict[str, Any] | list[Any]:
    """An object or an array. Raises Misfit for anything else."""
    if type(value) is dict or type(value) is list:
        return value
    raise Misfit
