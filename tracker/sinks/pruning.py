"""What pruning does to a table's old rows, as values, and what a store that can be pruned offers.

A `Rule` is one such task: which rows are old, and whether they are deleted or emptied. What emptying makes of
a row is decided here once, for every store; the SQL is in each store's own module (`registry.PRUNERS`).
"""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import orjson

from tracker.errors import QueryError
from tracker.sinks.base import Sink
from tracker.sinks.registry import PRUNERS, SinkSettings
from tracker.tables import CATALOGUE, Column, Default, Kind, Table

HASH = "[A-Za-z0-9_-]{27}="
"""What `Emptying.hashed` gives, as a pattern: SHA-1 in URL-safe base64."""
TIMES = ("created_at", "updated_at", "date")
"""The column by which a row's age is told: the first of these that its table has."""

_HASH = re.compile(HASH)
_DOCUMENTS = (Kind.JSON, Kind.TEXTS, Kind.UUIDS)
_NUMBERS = (int, float)


@dataclass(frozen=True, slots=True)
class Emptied:
    """A column that is emptied."""

    column: Column
    value: Default
    """What it holds afterwards."""
    hash_key: str = ""
    """The key in params under which a hash of what it held is kept; '' for none."""


@dataclass(frozen=True, slots=True)
class Emptying:
    """What becomes of an old row that stays. Of a row that is emptied already it changes nothing."""

    fields: tuple[Emptied, ...]
    hashed: Callable[[str], str]
    """Text -> hash, in the form HASH."""
    clears_params: bool = False
    """params keep nothing but hashes."""
    clears_numbers: bool = False
    """params lose the numbers at their top."""

    @property
    def hash_keys(self) -> tuple[str, ...]:
        """Keys of params that hold hashes."""
        return tuple(dict.fromkeys(field.hash_key for field in self.fields if field.hash_key))

    @property
    def touches_params(self) -> bool:
        """It reads and writes params; else the columns alone."""
        return self.clears_params or self.clears_numbers or bool(self.hash_keys)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that decides what becomes of a row."""
        names = tuple(field.column.name for field in self.fields)
        return (*names, "params") if self.touches_params else names

    def changed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that change, with what they hold then; empty when the row is done.

        `row` has at least `columns`, documents as objects and arrays.
        """
        full = [field for field in self.fields if row[field.column.name] != plain(field.column, field.value)]
        found: dict[str, Any] = {field.column.name: plain(field.column, field.value) for field in full}
        if self.touches_params:
            params = {**self._kept(row["params"]), **self._hashes(full, row)}
            if params != row["params"]:
                found["params"] = params
        return found

    def _kept(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in params.items() if self._is_kept(key, value)}

    def _is_kept(self, key: str, value: Any) -> bool:
        if self.clears_params:
            return key in self.hash_keys and isinstance(value, str) and bool(_HASH.fullmatch(value))
        return not (self.clears_numbers and type(value) in _NUMBERS)

    def _hashes(self, full: list[Emptied], row: Mapping[str, Any]) -> dict[str, str]:
        return {
            field.hash_key: self.hashed(_as_text(row[field.column.name]))
            for field in full
            if field.hash_key and row[field.column.name] != plain(field.column, field.column.default)
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """Old rows of one table, and what becomes of them. Times are text `2026-11-22 03:00:00.123`, UTC."""

    table: Table
    before: str
    """Rows that the collector took before this are old."""
    since: str = ""
    """Rows that it took before this are done already; '' for none."""
    keeps_cflags: int = 0
    """Rows with any of these bits of cflags stay as they are."""
    emptying: Emptying | None = None
    """None: old rows are deleted."""
    page_rows: int = 5000
    """Most rows of one step, where a store works in steps."""
    until: tuple[str, ...] = ()
    """The time and key of the last row that may be touched, as text; () for no such bound."""

    @property
    def action(self) -> str:
        """delete | empty"""
        return "delete" if self.emptying is None else "empty"

    @property
    def time(self) -> str:
        """The column by which rows are judged."""
        return time_of(self.table) or ""

    @property
    def before_in_column(self) -> str:
        """`before` as the column holds it: of a day, the day itself."""
        return self._in_column(self.before)

    @property
    def since_in_column(self) -> str:
        """`since` likewise."""
        return self._in_column(self.since)

    def _in_column(self, time: str) -> str:
        return time[:10] if self.table.kinds()[self.time] is Kind.DATE else time


@dataclass(frozen=True, slots=True)
class Counts:
    """A table as it is."""

    rows: int
    due: int
    """Rows that the rule would delete or empty."""
    oldest: str
    """The time of the oldest of these; '' when there is none."""


class Pruner(Protocol):
    """A store that can be pruned. Everything raises QueryError, with what the store said about itself."""

    async def counts(self, rule: Rule) -> Counts:
        """Count without changing anything, each row in its current version."""

    def prune(self, rule: Rule, most_rows: int | None) -> AsyncGenerator[int, None]:
        """Carry a rule out on at most so many rows, the oldest first; rows done in each step.

        Stopped between two steps or killed in one, it leaves every row as it was or done.
        """


def pruner(settings: SinkSettings, sink: Sink | None) -> AbstractAsyncContextManager[Pruner]:
    """The store, to be pruned inside the context, which raises QueryError when it cannot be reached.

    `sink` is the open one of a server that runs in this process, None when no server has the store open.
    """
    if settings.service not in PRUNERS:
        known = ", ".join(PRUNERS)
        raise QueryError(f"{settings.name}: {settings.service} cannot be pruned; there is {known}")
    module = import_module(PRUNERS[settings.service])
    found: AbstractAsyncContextManager[Pruner] = module.pruner(settings, sink)
    return found


def time_of(table: Table) -> str | None:
    """The column by which the age of its rows is told; None when they have no age."""
    return next((name for name in TIMES if name in table.kinds()), None)


def ageing_tables() -> tuple[str, ...]:
    """Every table whose rows have an age."""
    return tuple(name for name, table in CATALOGUE.items() if time_of(table))


def plain(column: Column, value: Default) -> Any:
    """A column's value as it stands in a row's JSON: documents as objects and arrays."""
    return orjson.loads(str(value)) if column.kind in _DOCUMENTS else value


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
