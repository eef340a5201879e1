"""Pruning of a DuckDB file against the same said in plain Python; that ClickHouse does the same is tested in
test_pruning_of_both_stores."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batches import batch
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
from tests.unit.sinks.places import ask, count, settings_in
from tracker.errors import QueryError, SinkUnavailable
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.pruning import Rule, pruner
from tracker.sinks.registry import SinkSettings
from tracker.tables import CATALOGUE

pytestmark = pytest.mark.asyncio


def settings_of(folder: Path) -> SinkSettings:
    place = settings_in(folder)
    return SinkSettings("duckdb:test", "duckdb", str(place.database), place.handover)


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[DuckDbSink]:
    opened = DuckDbSink(settings_in(tmp_path))
    await opened.open()
    yield opened
    await opened.close()


async def pruned(sink: DuckDbSink, folder: Path, rule: Rule, most_rows: int | None = None) -> list[int]:
    async with pruner(settings_of(folder), sink) as store:
        return [rows async for rows in store.prune(rule, most_rows)]


async def due(sink: DuckDbSink, folder: Path, rule: Rule) -> int:
    async with pruner(settings_of(folder), sink) as store:
        return (await store.counts(rule)).due


@pytest.mark.long
async def test_every_rule_leaves_what_the_policy_says(sink: DuckDbSink, tmp_path: Path) -> None:
    for seed, name in enumerate(RULES):
        await agrees(sink, tmp_path, seed, name, None)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(sorted(RULES)),
    most_rows=st.one_of(st.none(), st.integers(1, 40)),
)
async def test_whatever_the_rows_what_is_left_is_what_the_policy_says(
    sink: DuckDbSink, tmp_path: Path, seed: int, name: str, most_rows: int | None
) -> None:
    await agrees(sink, tmp_path, seed, name, most_rows)


async def agrees(sink: DuckDbSink, tmp_path: Path, seed: int, name: str, most_rows: int | None) -> None:
    """New rows, pruned by this rule, are what plain Python makes of them."""
    rows, rule = events(random.Random(seed), 60), RULES[name]
    await sink.change(lambda connection: len(connection.execute("DELETE FROM events").fetchall()))
    await sink.write(batch(rows))
    left, changed = judged(rows, rule, most_rows)
    assert await due(sink, tmp_path, rule) == judged(rows, rule)[1]
    assert sum(await pruned(sink, tmp_path, rule, most_rows)) == changed
    assert await shown(sink) == as_shown(left)
    if most_rows is None:
        assert await pruned(sink, tmp_path, rule) == [], "a second run rewrites nothing"


async def test_rows_go_in_steps_with_batches_between(sink: DuckDbSink, tmp_path: Path) -> None:
    await sink.write(batch([{"eid": uuid_of(number), "created_at": time_of_day(1)} for number in range(50)]))
    new = batch([{"eid": uuid_of(99), "created_at": time_of_day(28)}])
    steps = []
    async with pruner(settings_of(tmp_path), sink) as store:
        async for rows in store.prune(rule_of(2, page_rows=10), None):
            steps.append(rows)
            if len(steps) == 2:
                await asyncio.wait_for(sink.write(new), 5)
                assert await count(sink) == 31, "a step is a transaction of its own"
    assert steps == [10] * 5
    assert await count(sink) == 1


async def test_a_step_that_fails_changes_nothing_and_the_next_run_goes_on(
    sink: DuckDbSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"eid": uuid_of(number), "created_at": time_of_day(1), "iphash": "x"} for number in range(20)]
    await sink.write(batch(rows))
    calls = 0

    def failing(text: str) -> str:
        nonlocal calls
        calls += 1
        if calls > 15:
            raise duckdb.InterruptException("stopped")
        return "A" * 27 + "="

    rule = rule_of(2, page_rows=10, emptying=emptying_of(emptied("iphash", "was")))
    assert rule.emptying is not None
    object.__setattr__(rule.emptying, "hashed", failing)
    with pytest.raises(QueryError):
        await pruned(sink, tmp_path, rule)
    assert await due(sink, tmp_path, rule) == 10
    calls = -1000
    assert await pruned(sink, tmp_path, rule) == [10]


async def test_what_was_pruned_stays_pruned_after_an_end_without_a_close(tmp_path: Path) -> None:
    place = settings_in(tmp_path)
    first = DuckDbSink(place)
    await first.open()
    await first.write(batch([{"eid": uuid_of(number), "created_at": time_of_day(1)} for number in range(30)]))
    async with pruner(settings_of(tmp_path), first) as store:
        async for _ in store.prune(rule_of(2, page_rows=10), 10):
            pass
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in place.database.parent.glob("tracker.duckdb*"):  # as a power cut leaves them
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    await first.close()
    second = DuckDbSink(settings_in(tmp_path / "again"))
    (tmp_path / "again").mkdir()
    copy.rename(tmp_path / "again" / "data")
    await second.open()
    assert await count(second) == 20
    await second.close()


async def test_the_current_row_of_a_key_is_judged(sink: DuckDbSink, tmp_path: Path) -> None:
    row: dict[str, Any] = {"hhash": "h", "ehash": "e"}
    await sink.write(batch([{**row, "created_at": f"{time_of_day(1)}Z"}], "emails"))
    await sink.write(batch([{**row, "created_at": f"{time_of_day(9)}Z"}], "emails"))
    rule = Rule(CATALOGUE["emails"], time_of_day(5))
    assert await pruned(sink, tmp_path, rule) == []
    assert await pruned(sink, tmp_path, Rule(CATALOGUE["emails"], time_of_day(10))) == [1]


async def test_a_day_is_pruned_when_all_of_it_is_old(sink: DuckDbSink, tmp_path: Path) -> None:
    rows = [{"id": "c", "total": 1, "date": f"2026-01-{day:02d}", "cid": uuid_of(day)} for day in (1, 2, 3)]
    await sink.write(batch(rows, "counters"))
    assert await pruned(sink, tmp_path, Rule(CATALOGUE["counters"], time_of_day(3, 7))) == [2]
    assert await ask(sink, "SELECT date FROM counters") == [["2026-01-03"]]


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="nothing has been stored there yet"):
        async with pruner(settings_of(tmp_path), None):
            pass
    assert not settings_in(tmp_path).database.exists()


async def test_a_closed_file_is_opened_for_it(sink: DuckDbSink, tmp_path: Path) -> None:
    await sink.write(batch([{"eid": uuid_of(1), "created_at": time_of_day(1)}]))
    with pytest.raises(QueryError):
        async with pruner(settings_of(tmp_path), None):
            pass
    await sink.close()
    async with pruner(settings_of(tmp_path), None) as store:
        assert (await store.counts(rule_of(2))).due == 1
        assert [rows async for rows in store.prune(rule_of(2), None)] == [1]


async def test_a_change_that_fails_half_way_changes_nothing(sink: DuckDbSink) -> None:
    await sink.write(batch([{"eid": uuid_of(1), "created_at": time_of_day(1)}]))

    def half(connection: duckdb.DuckDBPyConnection) -> int:
        connection.execute("DELETE FROM events")
        raise duckdb.InterruptException("stopped")

    with pytest.raises(SinkUnavailable):
        await sink.change(half)
    assert await count(sink) == 1
