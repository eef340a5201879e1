"""Rows of every table through DuckDB's loader: each kind of value, by each of its ways into a table."""

from typing import Any

import pytest

from tests.support.batches import batch
from tests.support.rows import full_row, uuid_of
from tests.unit.sinks.places import ask
from tracker.errors import RowsRejected
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.ndjson import COMMON_BYTES
from tracker.tables import CATALOGUE, Kind, Table

MTHREADS, MSTORE = CATALOGUE["mthreads"], CATALOGUE["mstore"]


def stored(row: dict[str, Any], table: Table) -> dict[str, Any]:
    """As the store answers what was sent; of nanoseconds it shows three digits."""
    kinds = table.kinds()
    shown = {Kind.TIMESTAMP: 23, Kind.NANOTIME: 23}
    return {
        name: value[: shown[kinds[name]]] if kinds[name] in shown else value for name, value in row.items()
    }


async def rows_of(sink: DuckDbSink, table: Table) -> list[dict[str, Any]]:
    rows = await ask(sink, f"SELECT * FROM {table.name} ORDER BY {table.key[0]}")  # noqa: S608 (the catalogue's names)
    return [dict(zip(table.kinds(), row, strict=True)) for row in rows]


async def test_every_value_comes_back_as_it_was_sent(sink: DuckDbSink) -> None:
    for table in CATALOGUE.values():
        rows = [full_row(table, 1), full_row(table, 2)]
        before = await rows_of(sink, table)
        await sink.write(batch(rows, table.name))
        new = [row for row in await rows_of(sink, table) if row not in before]
        assert new == [stored(row, table) for row in rows]


async def test_a_large_row_is_as_exact_as_a_small_one(sink: DuckDbSink) -> None:
    row = full_row(MTHREADS, 1, cats=['"', "ü" * COMMON_BYTES, "a, [b"], ddata={"x": "[]"})
    await sink.write(batch([row], "mthreads"))
    assert await rows_of(sink, MTHREADS) == [stored(row, MTHREADS)]


@pytest.mark.parametrize("filling", [1, COMMON_BYTES], ids=["small", "large"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"mtypes": "a"},
        {"mtypes": '["a"]'},
        {"users": ["x"]},
        {"scheduled_local_hour": 128},
        {"text_tokens": {}},
    ],
    ids=lambda wrong: str(*wrong),
)
async def test_a_value_of_another_kind_is_rejected_by_row(
    sink: DuckDbSink, wrong: dict[str, Any], filling: int
) -> None:
    rows = [full_row(MSTORE, number, msg="x" * filling) for number in range(3)]
    rows[1] |= wrong
    with pytest.raises(RowsRejected) as caught:
        await sink.write(batch(rows, "mstore"))
    assert list(caught.value.reasons) == [1]
    assert await rows_of(sink, MSTORE) == []


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_of_equal_versions_of_a_key_the_last_one_stays(sink: DuckDbSink, is_one_batch: bool) -> None:
    emails = CATALOGUE["emails"]
    seen = {"hhash": "h", "ehash": "e", "created_at": "2026-11-22 03:00:00.123Z"}
    rows = [{**seen, "vid": uuid_of(vid)} for vid in (2, 3, 1)]
    for some in [rows] if is_one_batch else [[row] for row in rows]:
        await sink.write(batch(some, "emails"))
    assert [row["vid"] for row in await rows_of(sink, emails)] == [uuid_of(1)]
