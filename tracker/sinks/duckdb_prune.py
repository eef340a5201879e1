"""Pruning of a DuckDB file, in steps that are a transaction each, on the thread that writes batches.

Which rows are old is asked beside that thread; it carries out one step, then whatever batch waits, then the
next step. Between steps it rests for as long as the last one took, so that half of its time stays free.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import duckdb
import orjson

from tracker.errors import QueryError, SinkUnavailable
from tracker.sinks import duckdb_lines, pruning_sql
from tracker.sinks.base import Sink
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.duckdb_own import opened
from tracker.sinks.duckdb_rows import TYPES, literal
from tracker.sinks.pruning import HASH, Counts, Emptying, Rule
from tracker.sinks.registry import SinkSettings
from tracker.tables import Default, Kind

COUNT_SECONDS = 600.0
"""How long one count may take."""
MOST_PASSES = 5
"""How often rows are looked for again: a checkpoint may have given some of them other numbers."""
MOST_WINDOWS = 1_000_000
EMPTIED_ROWS = 50_000
"""DuckDB holds changed values in memory until a checkpoint: one comes after so many rows."""
INSIST_TIMES = 3
"""After so many times these rows, questions that are in the way of a checkpoint are interrupted."""


class DuckDbDialect:
    """As DuckDB says it."""

    def value(self, kind: Kind, value: Default) -> str:
        """As `Dialect.value`."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return f"{literal(value.removesuffix('Z'))}::{TYPES[kind]}"
        return repr(value)

    def is_filled(self, column: str) -> str:
        """As `Dialect.is_filled`."""
        return f"{column}::VARCHAR NOT IN ('{{}}', '[]')"

    def text(self, column: str) -> str:
        """As `Dialect.text`."""
        return f"{column}::VARCHAR"

    def has_other_params(self, hash_keys: tuple[str, ...]) -> str:
        """As `Dialect.has_other_params`."""
        known = f"[{', '.join(map(literal, hash_keys))}]::VARCHAR[]"
        others = [
            f"(json_exists(params, {_path(key)}) AND NOT regexp_full_match("
            f"coalesce(json_extract_string(params, {_path(key)}), ''), {literal(HASH)}))"
            for key in hash_keys
        ]
        return f"({' OR '.join((f'NOT list_has_all({known}, json_keys(params))', *others))})"

    def has_numbers(self) -> str:
        """As `Dialect.has_numbers`."""
        kinds = "('UBIGINT', 'BIGINT', 'DOUBLE', 'HUGEINT', 'UHUGEINT')"
        return f"len(list_filter(json_extract(params, '$.*'), lambda v: json_type(v) IN {kinds})) > 0"

    def bits(self, column: str, mask: int) -> str:
        """As `Dialect.bits`."""
        return f"({column} & {mask}::BIGINT)"


SAY = DuckDbDialect()


class DuckDbPruner:
    """A `Pruner` over an open sink."""

    def __init__(self, sink: DuckDbSink) -> None:
        self._sink = sink

    async def counts(self, rule: Rule) -> Counts:
        """As `Pruner.counts`."""
        due = pruning_sql.is_due(rule, SAY)
        ((rows, matching, oldest),) = await self._ask(
            f"SELECT count(*), count(*) FILTER (WHERE {due}), "  # noqa: S608 (names of the catalogue, quoted values)
            f"coalesce((min({rule.time}) FILTER (WHERE {due}))::VARCHAR, '') FROM {rule.table.name}"
        )
        return Counts(int(rows), int(matching), str(oldest))

    async def prune(self, rule: Rule, most_rows: int | None) -> AsyncGenerator[int, None]:
        """As `Pruner.prune`."""
        bounded = await self._bounded(rule, most_rows)
        untidy = 0
        for _ in range(MOST_PASSES):
            windows = await self._windows(bounded)
            for first in windows:
                began = time.monotonic()
                rows = await self._sink_does(self._sink.change(step(bounded, first)))
                untidy += rows
                if rule.emptying is not None and untidy >= EMPTIED_ROWS:
                    insist = untidy >= INSIST_TIMES * EMPTIED_ROWS
                    untidy *= not await self._sink_does(self._sink.tidy(insist=insist))
                yield rows
                await asyncio.sleep(time.monotonic() - began)
            if not windows:
                break
        if untidy:
            await self._sink_does(self._sink.tidy())

    async def _bounded(self, rule: Rule, most_rows: int | None) -> Rule:
        if most_rows is None:
            return rule
        last = await self._ask(pruning_sql.last_of(rule, SAY, rule.table.name, most_rows))
        return replace(rule, until=tuple(map(str, last[0]))) if last else rule

    async def _windows(self, rule: Rule) -> list[int]:
        """The first number of each run of `page_rows` row numbers in which rows are due."""
        found = await self._ask(
            f"SELECT DISTINCT rowid // {rule.page_rows} AS page FROM {rule.table.name} "  # noqa: S608 (as above)
            f"WHERE {pruning_sql.is_due(rule, SAY)} ORDER BY page"
        )
        return [int(page) * rule.page_rows for (page,) in found]

    async def _ask(self, question: str) -> Sequence[Sequence[Any]]:
        answer = await self._sink.query(question, max_rows=MOST_WINDOWS, timeout_seconds=COUNT_SECONDS)
        return answer.rows

    async def _sink_does(self, work: Awaitable[int]) -> int:
        try:
            return await work
        except SinkUnavailable as error:
            raise QueryError(error.reason) from error


@asynccontextmanager
async def pruner(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[DuckDbPruner]:
    """As `pruning.pruner`."""
    async with opened(settings, sink) as own:
        yield DuckDbPruner(own)


def step(rule: Rule, first: int) -> Callable[[duckdb.DuckDBPyConnection], int]:
    """What deletes or empties the due rows among `page_rows` row numbers; how many there were."""
    last = first + rule.page_rows
    name = rule.table.name
    page = f"{name}.rowid >= {first} AND {name}.rowid < {last}"
    where = f"{page} AND {pruning_sql.is_due(rule, SAY)}"
    emptying = rule.emptying

    def delete(connection: duckdb.DuckDBPyConnection) -> int:
        return _changed(connection, f"DELETE FROM {rule.table.name} WHERE {where}")  # noqa: S608 (as above)

    def empty(connection: duckdb.DuckDBPyConnection) -> int:
        return _empty(connection, rule, page, where)

    return delete if emptying is None else empty


def _empty(connection: duckdb.DuckDBPyConnection, rule: Rule, page: str, where: str) -> int:
    emptying = rule.emptying
    if emptying is None:
        raise ValueError("rows that are deleted are not emptied")
    changes = [f"{field.column.name} = {_new(field.column.kind, field.value)}" for field in emptying.fields]
    if not emptying.touches_params:
        return _changed(connection, f"UPDATE {rule.table.name} SET {', '.join(changes)} WHERE {where}")  # noqa: S608 (as above)
    question = duckdb_lines.lines(rule.table.name, emptying.columns).removeprefix("SELECT ")
    rows = connection.execute(f"SELECT rowid, {question} WHERE {where}").fetchall()
    source = "(SELECT unnest(?::BIGINT[]) AS number, unnest(?::VARCHAR[])::JSON AS params) AS emptied"
    numbers, params = [number for number, _ in rows], [_params(emptying, line) for _, line in rows]
    return _changed(
        connection,
        f"UPDATE {rule.table.name} SET {', '.join((*changes, 'params = emptied.params'))} "  # noqa: S608 (as above)
        f"FROM {source} WHERE {page} AND {rule.table.name}.rowid = emptied.number",
        numbers,
        params,
    )


def _params(emptying: Emptying, line: str) -> str:
    row = orjson.loads(line)
    return orjson.dumps(emptying.changed(row).get("params", row["params"])).decode()


def _changed(connection: duckdb.DuckDBPyConnection, statement: str, *values: Sequence[object]) -> int:
    (count,) = connection.execute(statement, list(values)).fetchone() or (0,)
    return int(count)


def _new(kind: Kind, value: Default) -> str:
    is_document = kind in pruning_sql.DOCUMENTS
    return f"{literal(str(value))}::{TYPES[kind]}" if is_document else SAY.value(kind, value)


def _path(key: str) -> str:
    return literal(f'$."{key}"')
