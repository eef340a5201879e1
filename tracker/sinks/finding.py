"""What `Store.find` means, whichever store answers: which values can match, how many go into one question.

Pure; how a question is written in SQL and asked is each store's own business.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from tracker.tables import CATALOGUE, Kind, Table

FIND_SECONDS = 5.0
"""How long a store may take to find rows."""
_MOST_VALUES = 500
_MOST_BYTES = 64 * 1024
"""Of values in one question: by default a ClickHouse server reads no more than 256 KiB of SQL."""

_TEXTS = frozenset({Kind.TEXT, Kind.LABEL})
_SPANS: Mapping[Kind, tuple[int, int]] = {
    Kind.INT8: (-(2**7), 2**7),
    Kind.INT16: (-(2**15), 2**15),
    Kind.INT32: (-(2**31), 2**31),
    Kind.INT64: (-(2**63), 2**63),
    Kind.UINT32: (0, 2**32),
    Kind.UINT64: (0, 2**64),
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of one table in which every named column equals one of its values; values are canonical texts."""

    table: Table
    where: Mapping[str, tuple[str, ...]]
    limit: int

    @property
    def is_empty(self) -> bool:
        """No row can match."""
        return not all(self.where.values())

    def portions(self) -> Iterator["Wanted"]:
        """The same in questions that are not too long, cut at the column with the most values."""
        if not self.where:
            yield self
            return
        name = max(self.where, key=lambda column: len(self.where[column]))
        for values in _portions(self.where[name]):
            yield replace(self, where={**self.where, name: values})


def wanted(table: str, where: Mapping[str, Sequence[str]], limit: int) -> Wanted:
    """What is asked for, without values that no row can have.

    Raises KeyError for a table or column that is not in the catalogue, ValueError for a column that cannot be
    asked by, or a limit below 1.
    """
    found = CATALOGUE[table]
    kinds = found.kinds()
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    matching = {
        name: tuple(dict.fromkeys(_possible(name, kinds[name], values))) for name, values in where.items()
    }
    return Wanted(found, matching, limit)


def merged(question: Wanted, found: Iterable[Row]) -> list[Row]:
    """Rows of several answers as one: in the order of the key, each key once and with its newest version."""
    key, version = question.table.key, question.table.version
    newest: dict[tuple[Any, ...], Row] = {}
    for row in found:
        name = tuple(row[column] for column in key)
        before = newest.get(name)
        if before is None or (version is not None and row[version] > before[version]):
            newest[name] = row
    return [newest[name] for name in sorted(newest)][: question.limit]


def _possible(name: str, kind: Kind, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        form = _form(name, kind, value)
        if form is not None:
            yield form


def _form(name: str, kind: Kind, value: str) -> str | None:
    """The one way in which rows have this value; None when none has it."""
    if kind in _TEXTS:
        return value if "\x00" not in value and _is_unicode(value) else None
    if kind is Kind.UUID:
        return _uuid(value)
    if kind in _SPANS:
        least, end = _SPANS[kind]
        number = _integer(value)
        return str(number) if number is not None and least <= number < end else None
    if kind is Kind.DATE:
        return _day(value)
    raise ValueError(f"{name} is {kind.value}: rows cannot be found by it")


def _is_unicode(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _uuid(value: str) -> str | None:
    try:
        return str(UUID(value))
    except ValueError:
        return None


def _integer(value: str) -> int | None:
    is_number = value.isascii() and len(value) <= 20 and value.removeprefix("-").isdigit()
    return int(value) if is_number else None


def _day(value: str) -> str | None:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None


def _portions(values: Sequence[str]) -> Iterator[tuple[str, ...]]:
    portion: list[str] = []
    size = 0
    for value in values:
        length = 2 * len(value.encode()) + 4
        if portion and (len(portion) == _MOST_VALUES or size + length > _MOST_BYTES):
            yield tuple(portion)
            portion, size = [], 0
        portion.append(value)
        size += length
    if portion:
        yield tuple(portion)
