"""Which rows of a batch a table has, asked of the real engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import CREATED, event, line, new_id
from tests.support.clickhouse import made_engine
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_lookup import missing
from tracker.sinks.clickhouse_writer import READING
from tracker.tables import CATALOGUE


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    async with made_engine(tmp_path) as engine:
        yield engine


def data_of(*rows: dict[str, Any]) -> bytes:
    return b"".join(line(row) + b"\n" for row in rows)


async def insert(engine: EmbeddedEngine, table: str, *rows: dict[str, Any]) -> None:
    await engine.insert(table, data_of(*rows), READING)


async def missing_of(engine: EmbeddedEngine, table: str, *rows: dict[str, Any]) -> list[int]:
    return await missing(engine, CATALOGUE[table], data_of(*rows))


async def test_of_an_empty_table_every_row_is_missing(engine: EmbeddedEngine) -> None:
    assert await missing_of(engine, "events", event(), event()) == [0, 1]


async def test_only_rows_that_are_not_there_are_missing(engine: EmbeddedEngine) -> None:
    rows = [event() for _ in range(10)]
    await insert(engine, "events", *rows[::2])
    assert await missing_of(engine, "events", *rows) == [1, 3, 5, 7, 9]


async def test_rows_on_both_sides_of_a_month_s_end_are_found(engine: EmbeddedEngine) -> None:
    rows = [event(created_at=f"2026-{month}-30 23:59:59.999Z") for month in (11, 12, 11, 12)]
    await insert(engine, "events", *rows[:3])
    assert await missing_of(engine, "events", *rows) == [3]


async def test_a_batch_larger_than_one_question_is_looked_up_whole(engine: EmbeddedEngine) -> None:
    rows = [event() for _ in range(10_000)]
    await insert(engine, "events", *rows[:1234], *rows[1235:])
    assert await missing_of(engine, "events", *rows) == [1234]


async def test_a_row_without_times_or_with_an_id_in_capitals_is_found(engine: EmbeddedEngine) -> None:
    rows = [{"eid": new_id().upper()}, {"eid": new_id(), "created_at": CREATED}]
    await insert(engine, "events", *rows)
    assert await missing_of(engine, "events", *rows) == []


async def test_a_key_may_be_any_text(engine: EmbeddedEngine) -> None:
    texts = ["it's", "a\\b", 'say "x"', "tab\tnew\nline", "a\0b", "Ünï ☃", "", "é" * 9000]
    there = [{"id": text, "updated_at": CREATED, "msg": "m"} for text in texts]
    others = [{**row, "id": f"{row['id']}'"} for row in there]
    await insert(engine, "updates", *there)
    assert await missing_of(engine, "updates", *there, *others) == list(range(len(texts), 2 * len(texts)))


async def test_a_row_with_a_version_is_there_when_this_one_or_a_later_one_is(engine: EmbeddedEngine) -> None:
    sent = [{"id": key, "updated_at": "2026-11-22 00:00:02.000Z"} for key in ("older", "same", "newer")]
    for row, second in zip(sent, (1, 2, 3), strict=True):
        await insert(engine, "updates", {**row, "updated_at": f"2026-11-22 00:00:0{second}.000Z"})
    assert await missing_of(engine, "updates", *sent) == [0]


async def test_every_table_can_be_asked(engine: EmbeddedEngine) -> None:
    for table in CATALOGUE:
        time = {"created_at": CREATED} if "created_at" in CATALOGUE[table].kinds() else {}
        assert await missing_of(engine, table, time) == [0], table
        await insert(engine, table, time)
        assert await missing_of(engine, table, time) == [], table
