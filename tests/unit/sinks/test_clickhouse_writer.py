"""What a batch does to a table, on the real engine: once whatever was sent before, and wrong rows by name."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import batch, event, line
from tests.support.clickhouse import made_engine, rows_of
from tracker.errors import BatchRejected, RowsRejected, SchemaMismatch
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_engine import Complaint
from tracker.sinks.clickhouse_errors import unavailable
from tracker.sinks.clickhouse_schema import Layout
from tracker.sinks.clickhouse_writer import Writer, WriterSettings
from tracker.sinks.registry import SCHEMA

SECRET = "someone@example.com"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    async with made_engine(tmp_path) as engine:
        yield engine


@pytest.fixture
async def writer(engine: EmbeddedEngine) -> Writer:
    writer = Writer(engine, WriterSettings(SCHEMA / "clickhouse", Layout(), write_seconds=60.0))
    await writer.open()
    return writer


async def count(engine: EmbeddedEngine, table: str = "events", *, final: bool = True) -> int:
    all_of = f"FROM {table} {'FINAL' if final else ''}"
    (row,) = await rows_of(engine, f"SELECT count() AS n {all_of}")
    return int(row["n"])


def two_months(rows: int) -> list[dict[str, Any]]:
    return [event(created_at=f"2026-{11 + number % 2}-30 23:59:59.999Z") for number in range(rows)]


async def test_three_sends_over_a_month_s_end_are_stored_once_as_a_part_for_each_month(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    sent = batch(two_months(5000))
    for is_repeat in (False, True, True):
        await writer.write(replace(sent, is_repeat=is_repeat))
    assert await count(engine, final=False) == 5000
    parts = await rows_of(engine, "SELECT name FROM system.parts WHERE table = 'events' AND active")
    assert len(parts) == 2


async def test_an_id_that_was_stored_keeps_an_insert_out(engine: EmbeddedEngine, writer: Writer) -> None:
    await writer.write(batch([event()], batch_id="one"))
    await writer.write(batch([event()], batch_id="one"))
    assert await count(engine, final=False) == 1


async def test_a_repeat_stores_rows_that_its_token_keeps_out(engine: EmbeddedEngine, writer: Writer) -> None:
    sent = batch(two_months(1000))
    await writer.write(sent)
    await engine.command("DELETE FROM events WHERE toMonth(created_at) = 12")
    await writer.write(sent)
    assert await count(engine) == 500, "the token keeps them out"
    await writer.write(replace(sent, is_repeat=True))
    assert await count(engine, final=False) == 1000


async def test_a_batch_is_there_once_without_any_token(engine: EmbeddedEngine, writer: Writer) -> None:
    await engine.command("ALTER TABLE events MODIFY SETTING non_replicated_deduplication_window = 0")
    sent = batch(two_months(1000))
    for is_repeat in (False, True, True):
        await writer.write(replace(sent, is_repeat=is_repeat))
    assert await count(engine) == 1000


async def test_wrong_rows_of_a_large_batch_are_named_exactly_and_nothing_is_written(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    rows: list[dict[str, Any] | bytes] = [event(params={"text": "x" * 900}) for _ in range(12_000)]
    wrong = {0: "created_at", 5_003: "lat", 11_998: "vid", 11_999: "vp_w"}
    for row, column in wrong.items():
        rows[row] = event(**{column: SECRET})
    sent = batch(rows)
    assert len(sent.data) > 10 << 20
    with pytest.raises(RowsRejected) as caught:
        await writer.write(sent)
    assert set(caught.value.reasons) == set(wrong)
    assert all(column in caught.value.reasons[row] for row, column in wrong.items())
    assert SECRET not in str(caught.value.reasons)
    assert await count(engine, final=False) == 0


async def test_what_cannot_be_a_row_is_told_apart(writer: Writer) -> None:
    good = line(event())
    rows = [b"", b"{", b"[]", b"1", good + good, good, b'{"eid":"\xff"}', line(event(enam="x"))]
    with pytest.raises(RowsRejected) as caught:
        await writer.write(batch(rows))
    assert caught.value.reasons == {
        0: "empty line",
        1: "not JSON",
        2: "not a JSON object",
        3: "not a JSON object",
        4: "not JSON",
        6: "not JSON",
        7: "column enam: table events has no such column",
    }


@pytest.mark.long
async def test_of_very_many_wrong_rows_some_are_named_in_bounded_work(writer: Writer) -> None:
    with pytest.raises(RowsRejected) as caught:
        await writer.write(batch([event(lat="north") for _ in range(3000)]))
    assert sorted(caught.value.reasons) == list(range(200))


async def test_a_row_that_a_constraint_of_the_store_refuses_is_left_to_halving(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    await engine.command("ALTER TABLE events ADD CONSTRAINT short CHECK length(ename) < 9")
    with pytest.raises(BatchRejected) as caught:
        await writer.write(batch([event(), event(ename=SECRET)]))
    assert SECRET not in caught.value.reason
    assert await count(engine) == 0


async def test_no_wrong_value_is_in_what_is_logged_of_a_rejection(writer: Writer) -> None:
    with pytest.raises(RowsRejected) as caught:
        await writer.write(batch([event(lat=SECRET)]))
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


async def test_a_column_dropped_while_it_runs_holds_that_table_with_the_difference_and_no_row_is_blamed(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    await engine.command("ALTER TABLE events DROP COLUMN lat")
    sent = batch([event(lat=1.5), event(lat="north")])
    with pytest.raises(SchemaMismatch, match="lat") as caught:
        await writer.write(sent)
    assert "schema" in caught.value.reason
    await writer.write(batch([{"id": "a", "msg": "others go on"}], "updates"))
    await engine.command("ALTER TABLE events ADD COLUMN lat Float64 AFTER ver")
    with pytest.raises(RowsRejected) as rejected:
        await writer.write(replace(sent, is_repeat=True))
    assert list(rejected.value.reasons) == [1]


async def test_a_table_of_another_shape_at_the_opening_holds_until_it_is_mended(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    await engine.command("ALTER TABLE events MODIFY COLUMN duration String")
    later = Writer(engine, WriterSettings(SCHEMA / "clickhouse", Layout(), write_seconds=60.0))
    await later.open()
    with pytest.raises(SchemaMismatch, match="duration"):
        await later.write(batch([event()]))
    assert await count(engine) == 0
    await later.write(batch([{"id": "a", "msg": "others go on"}], "updates"))
    await engine.command("ALTER TABLE events MODIFY COLUMN duration Int64")
    await later.write(batch([event()]))
    assert await count(engine) == 1


async def test_too_many_parts_are_waited_for_by_this_table_alone(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    await engine.command("SYSTEM STOP MERGES events")
    await engine.command(
        "ALTER TABLE events MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1"
    )
    await writer.write(batch([event()]))
    sent = batch([event()])
    with pytest.raises(Complaint) as caught:
        await writer.write(sent)
    error = unavailable(caught.value, "here")
    assert caught.value.code == 252
    assert (error.is_connection, error.retry_after_seconds) == (False, 10.0)
    await engine.command("ALTER TABLE events RESET SETTING parts_to_throw_insert, parts_to_delay_insert")
    await writer.write(replace(sent, is_repeat=True))
    assert await count(engine) == 2


async def test_a_memory_limit_is_waited_for_and_nobody_is_blamed(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    sent = batch([event(params={"text": "x" * 1000}) for _ in range(5000)])
    await engine.command("SET max_memory_usage = 1000000")
    with pytest.raises(Complaint) as caught:
        await writer.write(sent)
    error = unavailable(caught.value, "here")
    assert caught.value.code == 241
    assert not error.is_connection
    await engine.command("SET max_memory_usage = 0")
    await writer.write(replace(sent, is_repeat=True))
    assert await count(engine) == 5000


async def test_a_store_that_may_only_be_read_has_begun_nothing(
    engine: EmbeddedEngine, writer: Writer
) -> None:
    await engine.command("SET readonly = 2")
    with pytest.raises(Complaint) as caught:
        await writer.write(batch([event()]))
    assert caught.value.code == 164
    assert unavailable(caught.value, "here").is_connection


async def test_a_batch_is_looked_for_whatever_its_rows_are(writer: Writer) -> None:
    there = batch([event(), event()])
    await writer.write(there)
    assert await writer.has_some_of(there)
    for row in (event(), b"{", b"[]", event(eid="none"), event(eid=[1]), event(eid=7), event(created_at={})):
        assert not await writer.has_some_of(batch([row]))


async def test_an_empty_batch_is_nothing(engine: EmbeddedEngine, writer: Writer) -> None:
    await writer.write(batch([]))
    assert await count(engine) == 0
