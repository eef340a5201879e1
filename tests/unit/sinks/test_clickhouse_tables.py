"""ClickHouse's tables as its engine has them: the catalogue's, and exact whatever is inserted again."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from tests.support.batches import line
from tests.support.clickhouse import embedded_engine, rows_of
from tests.support.rows import full_row, uuid_of
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_schema import FOLDER, Layout, bring_up_to_date
from tracker.sinks.clickhouse_types import TYPES, default_expression
from tracker.sinks.clickhouse_writer import READING, WRITING
from tracker.tables import CATALOGUE, DEFAULTS, Kind, Table

pytest.importorskip("chdb")
pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT = [table for table in CATALOGUE.values() if table.version is None]
REPLACED = [table for table in CATALOGUE.values() if table.version is not None]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedEngine]:
    """The newest schema."""
    async with embedded_engine(tmp_path_factory.mktemp("tables")) as engine:
        await bring_up_to_date(engine, FOLDER, Layout(durability="memory"))
        yield engine


@pytest_asyncio.fixture(loop_scope="module")
async def engine(opened: EmbeddedEngine) -> EmbeddedEngine:
    """Without rows."""
    for name in CATALOGUE:
        await opened.command(f"TRUNCATE TABLE {name}")
    return opened


async def insert(
    engine: EmbeddedEngine, table: Table, rows: Sequence[dict[str, Any]], **settings: str
) -> None:
    data = b"".join(line(row) + b"\n" for row in rows)
    await engine.insert(table.name, data, {**READING, **WRITING, **settings})


async def final(engine: EmbeddedEngine, table: Table) -> list[dict[str, Any]]:
    question = f"SELECT * FROM {table.name} FINAL ORDER BY {table.key[0]}"  # noqa: S608 (the catalogue's names)
    return await rows_of(engine, question)


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """As the engine answers what was sent: times without the Z."""
    return {name: value[:-1] if str(value).endswith("Z") else value for name, value in row.items()}


async def test_every_kind_has_a_type() -> None:
    assert set(TYPES) == set(Kind)


async def test_the_columns_are_the_catalogues_in_their_order_with_its_types_and_defaults(
    engine: EmbeddedEngine,
) -> None:
    found = await engine.ask(
        "SELECT table, name, type, default_kind, default_expression FROM system.columns "
        "WHERE database = currentDatabase() ORDER BY position"
    )
    for table in CATALOGUE.values():
        assert [tuple(row[1:]) for row in found.rows if row[0] == table.name] == [
            (column.name, TYPES[column.kind], "DEFAULT" if expression else "", expression)
            for column in table.columns
            for expression in [default_expression(column)]
        ]


async def test_what_a_row_leaves_out_is_at_the_catalogues_default(engine: EmbeddedEngine) -> None:
    empty: dict[Kind, Any] = {Kind.JSON: {}, Kind.TEXTS: [], Kind.UUIDS: []}
    for table in CATALOGUE.values():
        await insert(engine, table, [{}])
        expected = {column.name: empty.get(column.kind, column.default) for column in table.columns}
        assert await final(engine, table) == [stored(expected)], table.name
    assert empty.keys() == {kind for kind, default in DEFAULTS.items() if default in ("{}", "[]")}


async def test_every_table_merges_by_its_rows_id_and_clients_choose_no_partition(
    engine: EmbeddedEngine,
) -> None:
    found = await rows_of(
        engine,
        "SELECT name, engine_full, partition_key, sorting_key FROM system.tables "
        "WHERE database = currentDatabase() AND engine NOT LIKE '%View' AND name <> 'schema_migrations'",
    )
    assert {row["name"] for row in found} == set(CATALOGUE)
    for row in found:
        table, sorting = CATALOGUE[row["name"]], row["sorting_key"].split(", ")
        assert row["engine_full"].startswith("ReplacingMergeTree")
        assert "non_replicated_deduplication_window = 1000" in row["engine_full"]
        if table.version:
            assert f"ReplacingMergeTree({table.version})" in row["engine_full"]
            assert (set(sorting), row["partition_key"]) == (set(table.key), "")
        else:
            assert [sorting[-1]] == list(table.key)
            months = {f"toYYYYMM({name})" for name in ("created_at", "updated_at", "date")}
            assert row["partition_key"] in months
        assert "oid" not in table.kinds() or "oid" not in sorting or sorting[0] == "oid"


async def test_every_value_comes_back_as_it_was_sent(engine: EmbeddedEngine) -> None:
    for table in CATALOGUE.values():
        row = full_row(table, 1)
        await insert(engine, table, [row])
        assert await final(engine, table) == [stored(row)]


async def test_rows_that_come_three_times_are_there_once_over_a_month_boundary_too(
    engine: EmbeddedEngine,
) -> None:
    for table in KEPT:
        rows = [at(table, 1, "2026-11-30", "23:59:59.999"), at(table, 2, "2026-12-01", "00:00:00.000")]
        await engine.command(f"SYSTEM STOP MERGES {table.name}")
        for token in "abc":
            await insert(engine, table, rows, insert_deduplication_token=token)
        (counts,) = await rows_of(engine, f"SELECT count() AS rows FROM {table.name}")  # noqa: S608 (as above)
        assert counts["rows"] == 6
        assert await final(engine, table) == [stored(row) for row in rows]


def at(table: Table, number: int, day: str, time: str) -> dict[str, Any]:
    """A row whose every time is this one."""
    times = {Kind.TIMESTAMP: f"{day} {time}Z", Kind.DATE: day}
    return full_row(table, number) | {
        name: times[kind] for name, kind in table.kinds().items() if kind in times
    }


async def test_of_a_key_the_latest_version_stays_and_of_equal_ones_the_last(engine: EmbeddedEngine) -> None:
    def version(table: Table, second: int, number: int) -> dict[str, Any]:
        key = {name: full_row(table, 0)[name] for name in table.key}
        return full_row(table, number, **key) | {str(table.version): f"2026-11-22 03:00:0{second}.000Z"}

    for table in REPLACED:
        rows = [version(table, *made) for made in ((1, 1), (2, 2), (2, 3), (1, 4))]
        for some in ([rows[1]], rows, [rows[0]]):
            await insert(engine, table, some)
            kept = rows[1] if len(some) == 1 and some[0] is rows[1] else rows[2]
            assert await final(engine, table) == [stored(kept)], table.name
        await insert(engine, table, [other := version(table, 2, 5)])
        assert await final(engine, table) == [stored(other)]


async def test_tenants_share_ids(engine: EmbeddedEngine) -> None:
    for name in ("agreements", "payments"):
        table = CATALOGUE[name]
        await insert(engine, table, [full_row(table, 1, oid=uuid_of(number)) for number in (8, 9)])
        assert len(await final(engine, table)) == 2
