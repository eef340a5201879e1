"""DuckDB and ClickHouse prune alike: the same counts, the same rows left, as plain Python has it."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.batches import batch
from tests.support.clickhouse import embedded_engine, made_before, rows_of
from tests.support.clickhouse_process import serving
from tests.support.clickhouse_writes import open_sink, over_http, stored
from tests.support.pruning import (
    RULES,
    as_shown,
    emptied,
    emptying_of,
    events,
    judged,
    rule_of,
    shown,
    time_of_day,
    uuid_of,
)
from tracker.errors import QueryError
from tracker.sinks.base import Sink, Store
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_places import MUTATING
from tracker.sinks.clickhouse_prune_sql import Statements
from tracker.sinks.pruning import Counts, Pruner, Rule, pruner
from tracker.sinks.registry import SinkSettings, make_sink
from tracker.tables import CATALOGUE

pytestmark = pytest.mark.asyncio

CLUSTER = Place("sfpla", "shop")


@dataclass(frozen=True)
class Opened:
    name: str
    sink: Sink
    store: Store
    pruner: Pruner

    async def prune(self, rule: Rule, most_rows: int | None = None) -> int:
        return sum([rows async for rows in self.pruner.prune(rule, most_rows)])


@asynccontextmanager
async def opened(*settings: SinkSettings) -> AsyncIterator[Sequence[Opened]]:
    async with AsyncExitStack() as stack:
        stores = []
        for one in settings:
            sink = make_sink(one)
            stack.push_async_callback(sink.close)
            await sink.open()
            store = await stack.enter_async_context(pruner(one, sink))
            stores.append(Opened(one.service, sink, cast(Store, sink), store))
        yield stores


def both(folder: Path) -> tuple[SinkSettings, SinkSettings]:
    duck = SinkSettings("duckdb:test", "duckdb", str(folder / "t.duckdb"), folder / "duck")
    return duck, made_before(folder)


async def alike(
    stores: Sequence[Opened], names: Sequence[str], count: int, seed: int, limits: Sequence[int | None]
) -> None:
    """Each rule in turn upon what the ones before have left, then once more."""
    rows: list[dict[str, Any]] = events(random.Random(seed), count)
    for one in stores:
        await one.sink.write(batch(rows))
    for name in names:
        for most_rows in limits:
            rule = RULES[name]
            all_due = judged(rows, rule)[1]
            rows, changed = judged(rows, rule, most_rows)
            for one in stores:
                counts = await one.pruner.counts(rule)
                assert counts.due == all_due, (name, one.name)
                assert await one.prune(rule, most_rows) == changed, (name, one.name)
                assert await shown(one.store) == as_shown(rows), (name, one.name)
    for one in stores:
        assert await one.prune(RULES[names[-1]]) == 0


@pytest.mark.long
@pytest.mark.timeout(600)  # forty mutations of a table, one after the other
@pytest.mark.parametrize("seed", [1, 2])
async def test_both_stores_do_every_rule_alike(tmp_path: Path, seed: int) -> None:
    names = sorted(RULES)
    random.Random(seed).shuffle(names)
    async with opened(*both(tmp_path)) as stores:
        await alike(stores, names, 120, seed, (12, None))


async def test_no_old_version_comes_back_and_no_row_is_lost(tmp_path: Path) -> None:
    """What only ClickHouse can get wrong: it keeps rows that were replaced, and more than one of a kind."""
    consent = {"oid": uuid_of(1), "vid": uuid_of(2)}
    empty = rule_of(5, emptying=emptying_of(emptied("iphash", "was"), clears_params=True))
    old = {"oid": uuid_of(1), "created_at": f"{time_of_day(1)}Z", "iphash": "x", "params": {"a": 1}}
    async with opened(made_before(tmp_path)) as (store,), embedded_engine(tmp_path) as engine:
        for day, cflags in ((1, 4), (2, 0)):
            at = {"created_at": f"{time_of_day(day)}Z", "updated_at": f"{time_of_day(day)}Z"}
            await store.sink.write(batch([{**consent, **at, "cflags": cflags}], "agreements"))
        kept = Rule(CATALOGUE["agreements"], time_of_day(5), keeps_cflags=4)
        assert await store.prune(kept) == 1, "the current version says that nothing keeps it"
        assert await rows_of(engine, "SELECT cflags FROM agreements") == []

        first = batch([{**old, "eid": uuid_of(1)}])
        await store.sink.write(first)
        assert await store.prune(empty) == 1
        hashes = await rows_of(engine, "SELECT iphash, params FROM events")
        assert [row["iphash"] for row in hashes] == [""], "the full row is gone, and not only replaced"

        late = batch([{**old, "eid": uuid_of(2)}])  # comes when the emptied rows are in, before the others go
        await store.sink.write(late)
        await engine.command(Statements(empty, Place("sfpla")).delete_full, MUTATING)
        left = await rows_of(engine, "SELECT iphash FROM events ORDER BY iphash")
        assert left == [{"iphash": ""}, {"iphash": "x"}], "a row without an emptied one stays"
        assert await store.prune(empty) == 1
        assert await rows_of(engine, "SELECT DISTINCT params FROM events") == [
            {"params": hashes[0]["params"]}
        ]


async def test_a_prune_that_was_stopped_half_way_is_ended_by_the_next_one(tmp_path: Path) -> None:
    rule = rule_of(5, emptying=emptying_of(emptied("iphash")))
    row = {"eid": uuid_of(1), "oid": uuid_of(1), "created_at": f"{time_of_day(1)}Z"}
    async with opened(made_before(tmp_path)) as (store,), embedded_engine(tmp_path) as engine:
        await store.sink.write(batch([{**row, "iphash": "x"}]))
        await store.sink.write(batch([row]))
        assert await store.prune(rule) == 0
        assert await rows_of(engine, "SELECT iphash FROM events") == [{"iphash": ""}]


@pytest.mark.long
async def test_servers_that_hold_rows_of_their_own_are_all_pruned_over_http(tmp_path: Path) -> None:
    rows = [{"eid": uuid_of(number), "created_at": f"{time_of_day(1)}Z", "os": "x"} for number in range(8)]
    with serving(tmp_path / "a") as first, serving(tmp_path / "b") as second:
        for server, some in ((first, rows[:5]), (second, rows[5:])):
            async with open_sink(tmp_path, server.port) as sink:
                await sink.write(batch(some))
        everywhere = over_http(tmp_path, first.port, second.port)
        async with pruner(everywhere, None) as store:
            empty = rule_of(2, emptying=emptying_of(emptied("os", "was")))
            assert (await store.counts(empty)).due == 8
            assert sum([done async for done in store.prune(empty, 6)]) == 6
            assert sum([done async for done in store.prune(empty, None)]) == 2
            assert await store.counts(rule_of(2)) == Counts(8, 8, time_of_day(1))
            assert sum([done async for done in store.prune(rule_of(2), None)]) == 8
        assert stored(first, "sfpla") == stored(second, "sfpla") == []
        second.kill()
        with pytest.raises(QueryError, match=str(second.port)):
            async with pruner(everywhere, None):
                pass


async def test_a_cluster_is_pruned_on_every_shard() -> None:
    empty = Statements(RULES["clear params"], CLUSTER)
    assert Statements(RULES["delete"], CLUSTER).delete.startswith(
        "ALTER TABLE sfpla.events_local ON CLUSTER shop DELETE WHERE created_at < "
    )
    assert "FROM sfpla.events_local FINAL" in empty.delete_full
    assert "FROM sfpla.events FINAL" in empty.due_rows
    assert "pepper" not in empty.delete_full + empty.due_rows + empty.counts
