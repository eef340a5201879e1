"""Values as ClickHouse writes them in JSON -> as every store here answers them, by their types. Pure.

Times are expected in the form `iso`, decimals and what is not finite as text.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

Change = Callable[[Any], Any]

_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1
_TRANSPARENT = ("Nullable", "LowCardinality", "SimpleAggregateFunction")


def changes(types: tuple[str, ...]) -> dict[int, Change]:
    """What is to be done to each column, by its place; columns that are right as they are have nothing."""
    found = ((place, change_of(kind)) for place, kind in enumerate(types))
    return {place: change for place, change in found if change is not None}


def change_of(kind: str) -> Change | None:
    """What turns a value of this type into text, number, list or dict as the other stores write it.

    Times become `2026-11-22 03:00:00.123` in UTC, integers beyond 64 bits text, floats stay floats when
    they are whole. None: the value is right as it is.
    """
    name, _, rest = kind.partition("(")
    inner = list(_parts(rest[:-1]))
    if name in _TRANSPARENT:
        return change_of(inner[-1])
    if name == "Array":
        return _of_list(change_of(inner[0]))
    if name == "Tuple":
        return _of_tuple(inner)
    if name == "Map":
        return _of_map(change_of(inner[1]))
    return _SCALARS.get(name)


def _parts(inner: str) -> Iterator[str]:
    """The arguments of a type: split at commas that are neither in parentheses nor in quotes."""
    depth, is_quoted, start = 0, False, 0
    for place, letter in enumerate(inner):
        if letter in "'`":
            is_quoted = not is_quoted
        elif not is_quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == "," and depth == 0:
                yield inner[start:place].strip()
                start = place + 1
    if inner:
        yield inner[start:].strip()


def _of_list(change: Change | None) -> Change | None:
    if change is None:
        return None
    return lambda value: [change(item) for item in value]


def _of_map(change: Change | None) -> Change | None:
    if change is None:
        return None
    return lambda value: {key: change(item) for key, item in value.items()}


def _of_tuple(inner: list[str]) -> Change | None:
    """A tuple with names is an object, another one a list."""
    change_at = changes(tuple(_type_in(part) for part in inner))
    if not change_at:
        return None

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return dict(zip(value, changed(list(value.values())), strict=True))
        return [change_at[place](item) if place in change_at else item for place, item in enumerate(value)]

    return changed


def _type_in(part: str) -> str:
    """`x Array(String)` and `Array(String)` -> `Array(String)`."""
    name, _, kind = part.partition(" ")
    return kind if kind and "(" not in name else part


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value).astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def _fraction(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def _integer(value: Any) -> Any:
    return value if value is None or _LEAST_INTEGER <= value <= _MOST_INTEGER else str(value)


_SCALARS: dict[str, Change] = {
    "DateTime": _moment,
    "DateTime64": _moment,
    "Float32": _fraction,
    "Float64": _fraction,
    "BFloat16": _fraction,
    "Int128": _integer,
    "Int256": _integer,
    "UInt128": _integer,
    "UInt256": _integer,
}
