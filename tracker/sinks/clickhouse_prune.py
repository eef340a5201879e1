"""Pruning of ClickHouse tables. Rows are deleted by mutation; they are emptied by inserting the emptied row
and then deleting the full one, which no question sees any more: of two rows of one key the last one counts.

Nothing is ever missing on the way: a full row is deleted only where the emptied one is there. Rows are
emptied in this program and go in as batches do, so that no secret of their hashes reaches the server.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import orjson
import uuid_utils

from tracker.errors import QueryError, SinkError
from tracker.events import Batch
from tracker.sinks import ndjson
from tracker.sinks.base import Sink
from tracker.sinks.clickhouse import from_settings
from tracker.sinks.clickhouse_backup import READING
from tracker.sinks.clickhouse_places import MUTATING, At, assert_there, opened, translated
from tracker.sinks.clickhouse_prune_sql import Statements
from tracker.sinks.pruning import Counts, Emptying, Rule
from tracker.sinks.registry import SinkSettings

INSERTED_ROWS = 50_000
INSERTED_BYTES = 16 << 20
"""Emptied rows go in by so many: each insert makes parts that must be merged."""


class ClickHousePruner:
    """A `Pruner` over open engines of its own, one for each place."""

    def __init__(self, places: Sequence[At]) -> None:
        self._places = places

    async def counts(self, rule: Rule) -> Counts:
        """As `Pruner.counts`; the places together."""
        found = [await _counts(at, rule) for at in self._places]
        oldest = min((one.oldest for one in found if one.oldest), default="")
        return Counts(sum(one.rows for one in found), sum(one.due for one in found), oldest)

    async def prune(self, rule: Rule, most_rows: int | None) -> AsyncGenerator[int, None]:
        """As `Pruner.prune`, one place after the other; a step is a place, or an insert of emptied rows."""
        left = most_rows
        for at in self._places:
            if left == 0:
                return
            async for done in _pruned(at, await _bounded(at, rule, left), left):
                left = None if left is None else left - done
                yield done


@asynccontextmanager
async def pruner(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[ClickHousePruner]:
    """As `pruning.pruner`; an engine in this process can have several users."""
    await assert_there(settings)
    async with opened(settings, "prune") as places:
        yield ClickHousePruner(places)


async def _counts(at: At, rule: Rule) -> Counts:
    with translated(at.engine):
        ((rows, due, oldest),) = (await at.engine.ask(Statements(rule, at.form).counts)).rows
    return Counts(int(rows), int(due), str(oldest))


async def _bounded(at: At, rule: Rule, most_rows: int | None) -> Rule:
    if most_rows is None:
        return rule
    with translated(at.engine):
        last = (await at.engine.ask(Statements(rule, at.form).last(most_rows))).rows
    return replace(rule, until=tuple(map(str, last[0]))) if last else rule


async def _pruned(at: At, rule: Rule, most_rows: int | None) -> AsyncGenerator[int, None]:
    statements = Statements(rule, at.form)
    if rule.emptying is None:
        due = (await _counts(at, rule)).due
        if due:
            with translated(at.engine):
                await at.engine.command(statements.delete, MUTATING)
        yield due if most_rows is None else min(due, most_rows)
        return
    async for done in _inserted(at, rule, rule.emptying):
        yield done
    with translated(at.engine):
        ((full,),) = (await at.engine.ask(statements.full_rows)).rows
        if full:
            await at.engine.command(statements.delete_full, MUTATING)


async def _inserted(at: At, rule: Rule, emptying: Emptying) -> AsyncGenerator[int, None]:
    """Insert the emptied form of every due row; how many with each insert."""
    sink = from_settings(at.settings)
    try:
        async with aclosing(_emptied(at, rule, emptying)) as pieces:
            async for lines in pieces:
                await sink.open()
                data = ndjson.joined(lines)
                await sink.write(Batch(str(uuid_utils.uuid7()), rule.table.name, len(lines), data))
                yield len(lines)
    except SinkError as error:
        raise QueryError(f"{at.settings.name}: {error}") from error
    finally:
        await sink.close()


async def _emptied(at: At, rule: Rule, emptying: Emptying) -> AsyncGenerator[list[bytes], None]:
    """The emptied rows, as many as one insert takes."""
    lines: list[bytes] = []
    size = 0
    with translated(at.engine):
        async with aclosing(at.engine.stream(Statements(rule, at.form).due_rows, READING)) as pieces:
            async for piece in pieces:
                made = await asyncio.to_thread(_lines, piece, emptying)
                lines, size = lines + made, size + sum(map(len, made))
                if len(lines) >= INSERTED_ROWS or size >= INSERTED_BYTES:
                    yield lines
                    lines, size = [], 0
    if lines:
        yield lines


def _lines(piece: bytes, emptying: Emptying) -> list[bytes]:
    rows = map(orjson.loads, ndjson.lines(piece))
    return [orjson.dumps({**row, **emptying.changed(row)}) for row in rows]
