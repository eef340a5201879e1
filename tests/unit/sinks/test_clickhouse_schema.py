"""Bringing a real engine up to date: once each, several at once, without rights, never destroying."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.clickhouse import embedded_engine
from tests.unit.sinks.clickhouse_sources import (
    COUNTERS,
    HOSTS,
    NAMES,
    engine_of_table,
    names_in,
    write_files,
)
from tracker.errors import ConfigError
from tracker.sinks import clickhouse_difference as difference
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_engine import Complaint, Settings, Told
from tracker.sinks.clickhouse_schema import FOLDER, Layout, bring_up_to_date, differences, mend
from tracker.sinks.clickhouse_source import read_source
from tracker.sinks.clickhouse_there import stored_tables

POWER_LOSS = Layout()
MEMORY = Layout(durability="memory")
SYNCED = "fsync_after_insert = 1, fsync_part_directory = 1"
LEDGER = "SELECT number, name FROM schema_migrations FINAL ORDER BY number"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    async with embedded_engine(tmp_path) as engine:
        yield engine


def another(engine: EmbeddedEngine, tmp_path: Path, database: str) -> EmbeddedEngine:
    return EmbeddedEngine(tmp_path / "clickhouse", database, tmp_path / "handover")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write_files(tmp_path / "sql", HOSTS, COUNTERS + NAMES)


async def test_the_schema_is_made_in_a_database_that_is_made_too(
    engine: EmbeddedEngine, tmp_path: Path, files: Path
) -> None:
    fresh = another(engine, tmp_path, "fresh")
    await fresh.open()
    try:
        await bring_up_to_date(fresh, files, POWER_LOSS)
        assert await names_in(fresh, "fresh") == {"schema_migrations", "hosts", "counters", "names"}
        assert (await fresh.ask(LEDGER)).rows == [[1, "0001_part.sql"], [2, "0002_part.sql"]]
    finally:
        await fresh.close()


async def test_only_what_is_new_is_applied(engine: EmbeddedEngine, files: Path) -> None:
    await bring_up_to_date(engine, files, MEMORY)
    await engine.command("RENAME TABLE names TO old_names")  # made again only if its file ran again
    write_files(files, HOSTS, COUNTERS + NAMES, "ALTER TABLE hosts ADD COLUMN IF NOT EXISTS note String;")
    await bring_up_to_date(engine, files, MEMORY)
    assert "names" not in await names_in(engine, engine.database)
    assert (await engine.ask("SELECT note FROM hosts")).columns == ("note",)
    assert [number for number, _ in (await engine.ask(LEDGER)).rows] == [1, 2, 3]


async def test_several_collectors_may_start_at_once(
    engine: EmbeddedEngine, tmp_path: Path, files: Path
) -> None:
    async with AsyncExitStack() as stack:
        several = [another(engine, tmp_path, "shared") for _ in range(6)]
        for one in several:
            await one.open()
            stack.push_async_callback(one.close)
        await asyncio.gather(*(bring_up_to_date(one, files, POWER_LOSS) for one in several))
        assert await names_in(engine, "shared") == {"schema_migrations", "hosts", "counters", "names"}
        assert [number for number, _ in (await several[0].ask(LEDGER)).rows] == [1, 2]


async def test_a_start_that_was_cut_off_in_the_middle_is_finished_by_the_next(
    engine: EmbeddedEngine, files: Path
) -> None:
    write_files(files, HOSTS, COUNTERS + NAMES.replace("hostname", "nothing"))
    with pytest.raises(Complaint):
        await bring_up_to_date(engine, files, MEMORY)
    assert "counters" in await names_in(engine, engine.database)
    assert [number for number, _ in (await engine.ask(LEDGER)).rows] == [1]
    write_files(files, HOSTS, COUNTERS + NAMES)
    await bring_up_to_date(engine, files, MEMORY)
    assert [number for number, _ in (await engine.ask(LEDGER)).rows] == [1, 2]


async def test_a_changed_file_and_a_newer_store_are_refused(engine: EmbeddedEngine, files: Path) -> None:
    await bring_up_to_date(engine, files, MEMORY)
    write_files(files, HOSTS + "-- more", COUNTERS + NAMES)
    with pytest.raises(ConfigError, match=r"0001_part\.sql was changed after it was applied"):
        await bring_up_to_date(engine, files, MEMORY)
    write_files(files, HOSTS)
    (files / "0002_part.sql").unlink()
    with pytest.raises(ConfigError, match="the store has migration 0002"):
        await bring_up_to_date(engine, files, MEMORY)


async def test_who_may_only_read_is_let_in_when_nothing_is_pending(
    engine: EmbeddedEngine, tmp_path: Path, files: Path
) -> None:
    await bring_up_to_date(engine, files, POWER_LOSS)
    reader = another(engine, tmp_path, engine.database)
    await reader.open()
    try:
        await reader.command("SET readonly = 2")
        await bring_up_to_date(reader, files, POWER_LOSS)
        write_files(files, HOSTS, COUNTERS + NAMES, "ALTER TABLE hosts ADD COLUMN IF NOT EXISTS note String;")
        with pytest.raises(
            ConfigError, match=r"schema --clickhouse single --apply` as a user who may. Refused"
        ):
            await bring_up_to_date(reader, files, POWER_LOSS)
    finally:
        await reader.close()


@dataclass
class MayOnlyInsert:
    """The engine as one who may not even read the table of applied files, as servers answer such a user."""

    engine: EmbeddedEngine
    place = "elsewhere"
    database = "sfpla"

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        if "schema_migrations" in sql:
            raise Complaint(497, "Not enough privileges")
        return await self.engine.ask(sql, settings, anywhere=anywhere)

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        raise Complaint(497, "Not enough privileges")


@pytest.mark.long
async def test_who_may_only_insert_is_let_in_when_the_tables_fit(engine: EmbeddedEngine) -> None:
    inserter = MayOnlyInsert(engine)
    await bring_up_to_date(inserter, FOLDER, POWER_LOSS)
    told = await differences(inserter, POWER_LOSS)
    assert told["events"] == "sfpla.events is missing: python -m tracker schema --clickhouse single --apply"
    await bring_up_to_date(engine, FOLDER, POWER_LOSS)
    await bring_up_to_date(inserter, FOLDER, POWER_LOSS)
    assert await differences(inserter, POWER_LOSS) == {}


async def test_a_table_is_never_replaced_by_a_view_of_its_name(engine: EmbeddedEngine, files: Path) -> None:
    await engine.command("CREATE TABLE names (a UInt8) ENGINE = MergeTree ORDER BY a")
    await engine.command("INSERT INTO names VALUES (7)")
    with pytest.raises(ConfigError, match=r"sfpla\.names is a table \(MergeTree\) .* nothing was changed"):
        await bring_up_to_date(engine, files, MEMORY)
    assert (await engine.ask("SELECT a FROM names")).rows == [[7]]
    assert await names_in(engine, engine.database) == {"names"}


@pytest.mark.parametrize("durability", ["process-crash", "memory"])
async def test_inserts_are_synced_where_a_power_cut_must_lose_nothing(
    engine: EmbeddedEngine, files: Path, durability: str
) -> None:
    await bring_up_to_date(engine, files, POWER_LOSS)
    for table in ("hosts", "counters"):
        assert SYNCED in await engine_of_table(engine, table)
    await bring_up_to_date(engine, files, Layout(durability=durability))
    assert SYNCED.replace("1", "0") in await engine_of_table(engine, "hosts")


async def test_what_is_as_it_must_be_is_not_altered(
    engine: EmbeddedEngine, tmp_path: Path, files: Path
) -> None:
    layout = Layout(ttl_seconds={"hosts": 86_400.0})
    await bring_up_to_date(engine, files, layout)
    reader = another(engine, tmp_path, engine.database)
    await reader.open()
    try:
        await reader.command("SET readonly = 2")
        await bring_up_to_date(reader, files, layout)
    finally:
        await reader.close()


async def test_rows_go_after_the_time_that_is_configured(engine: EmbeddedEngine, files: Path) -> None:
    for seconds in (86_400.0, 3_600.0):
        await bring_up_to_date(engine, files, Layout(ttl_seconds={"hosts": seconds, "counters": seconds}))
        ends = f") + toIntervalSecond({seconds:.0f}) SETTINGS"
        assert f" TTL toDateTime(created_at{ends}" in await engine_of_table(engine, "hosts")
        assert f" TTL toDateTime(date{ends}" in await engine_of_table(engine, "counters")
    await engine.command("INSERT INTO hosts VALUES ('a', 'old', now() - 7200), ('b', 'new', now())")
    await engine.command("OPTIMIZE TABLE hosts FINAL")
    assert (await engine.ask("SELECT hostname FROM hosts")).rows == [["new"]]
    await bring_up_to_date(engine, files, POWER_LOSS)
    assert "TTL" not in await engine_of_table(engine, "hosts")


async def test_a_ttl_that_a_person_made_stays_where_none_is_configured(
    engine: EmbeddedEngine, files: Path
) -> None:
    await bring_up_to_date(engine, files, POWER_LOSS)
    await engine.command("ALTER TABLE hosts MODIFY TTL toDateTime(created_at) + INTERVAL 1 MONTH")
    await bring_up_to_date(engine, files, POWER_LOSS)
    assert "TTL toDateTime(created_at) + toIntervalMonth(1)" in await engine_of_table(engine, "hosts")
    await bring_up_to_date(engine, files, Layout(ttl_seconds={"hosts": 5.0}))
    assert "TTL toDateTime(created_at) + toIntervalSecond(5)" in await engine_of_table(engine, "hosts")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("names", "'names' is no table of ClickHouse; there is counters, hosts"),
        ("hosts_without_time", "hosts_without_time has no time by which a row is old"),
    ],
)
async def test_a_ttl_without_meaning_is_refused_before_anything_is_made(
    engine: EmbeddedEngine, files: Path, table: str, reason: str
) -> None:
    if table not in NAMES:
        timeless = HOSTS.replace("hosts (", f"{table} (").replace("(created_at)", "")
        write_files(files, HOSTS, COUNTERS + NAMES, timeless)
    with pytest.raises(ConfigError, match=reason):
        await bring_up_to_date(engine, files, Layout(ttl_seconds={table: 5.0}))
    assert await names_in(engine, engine.database) == set()


async def test_every_difference_is_named_with_what_mends_it(engine: EmbeddedEngine) -> None:
    await bring_up_to_date(engine, FOLDER, POWER_LOSS)
    for statement in (
        "ALTER TABLE events DROP COLUMN vp_w",
        "ALTER TABLE events MODIFY COLUMN lat Float32",
        "ALTER TABLE events ADD COLUMN extra String",
        "RENAME TABLE cells TO cells_before",
        "RENAME TABLE emails TO emails_before",
        "CREATE TABLE emails AS emails_before ENGINE = MergeTree ORDER BY ehash",
        "RENAME TABLE hosts TO hosts_before",
        "CREATE TABLE hosts AS hosts_before ENGINE = ReplacingMergeTree ORDER BY (hhash)",
        "RENAME TABLE updates TO updates_before",
        "CREATE VIEW updates AS SELECT * FROM updates_before",
        "ALTER TABLE payments MODIFY COLUMN currency String DEFAULT 'EUR'",
        "ALTER TABLE logs MODIFY COLUMN msg String ALIAS topic",
        "RENAME TABLE counters TO counters_before",
        "CREATE TABLE counters AS counters_before ENGINE = ReplacingMergeTree ORDER BY (id, date)",
        "RENAME TABLE hits TO hits_before",
        "RENAME TABLE ips TO ips_before",
        "CREATE TABLE ips (ip String) ENGINE = MergeTree ORDER BY ip",
    ):
        await engine.command(statement)
    apply = "python -m tracker schema --clickhouse single --apply"
    aside = "give it another name (RENAME TABLE)"
    anew = f"cannot be altered; {aside}, run {apply} and copy the rows from there"
    assert await differences(engine, POWER_LOSS) == {
        "events": f"sfpla.events has no column vp_w Int64: {apply}; "
        "sfpla.events: column lat is Float32 instead of Float64: "
        "ALTER TABLE sfpla.events MODIFY COLUMN lat Float64",
        "cells": f"sfpla.cells is missing: {apply}",
        "emails": f"sfpla.emails is MergeTree instead of ReplacingMergeTree: {anew}",
        "hosts": "sfpla.hosts is ReplacingMergeTree ORDER BY (hhash) "
        f"instead of ReplacingMergeTree(created_at) ORDER BY (hhash, hostname): {anew}",
        "updates": f"sfpla.updates is a view instead of ReplacingMergeTree: {anew}",
        "payments": "sfpla.payments: column currency is String DEFAULT 'EUR' "
        "instead of String DEFAULT 'USD': "
        "ALTER TABLE sfpla.payments MODIFY COLUMN currency String DEFAULT 'USD'",
        "counters": "sfpla.counters is ReplacingMergeTree ORDER BY (id, date) "
        f"instead of ReplacingMergeTree ORDER BY (id, date, cid): {anew}",
        "hits": f"sfpla.hits is missing: {apply}",
        "ips": f"sfpla.ips is MergeTree instead of a view: {anew}",
        "logs": "sfpla.logs: column msg is String ALIAS topic instead of String: "
        "ALTER TABLE sfpla.logs MODIFY COLUMN msg String",
    }


async def test_tables_that_a_person_or_the_cloud_has_replicated_fit(engine: EmbeddedEngine) -> None:
    await bring_up_to_date(engine, FOLDER, POWER_LOSS)
    there = dict(await stored_tables(engine))
    for table, kind, written, shown in (
        ("events", "Replicated", "ReplacingMergeTree", "('/p', '{replica}')"),
        ("hosts", "Shared", "ReplacingMergeTree(created_at)", "('/p', '{replica}', created_at)"),
    ):
        name = f"{kind}ReplacingMergeTree"
        full = there[table].engine_full.replace(written, name + shown)
        there[table] = replace(there[table], engine=name, engine_full=full)
    assert difference.differences(read_source(FOLDER), there, Place("sfpla")) == {}


@pytest.mark.long
async def test_what_is_missing_is_made_again_and_the_rest_by_what_is_told(engine: EmbeddedEngine) -> None:
    await bring_up_to_date(engine, FOLDER, POWER_LOSS)
    await engine.command("INSERT INTO events (ename) VALUES ('kept')")
    await engine.command("ALTER TABLE events DROP COLUMN vp_w")
    await engine.command("ALTER TABLE events MODIFY COLUMN lat Float32")
    await engine.command("RENAME TABLE cells TO cells_before")
    await engine.command("RENAME TABLE hits TO hits_before")
    await mend(engine, FOLDER, POWER_LOSS)
    told = await differences(engine, POWER_LOSS)
    assert set(told) == {"events"}
    assert SYNCED in await engine_of_table(engine, "cells")
    await engine.command(told["events"][told["events"].index("ALTER TABLE") :])
    assert await differences(engine, POWER_LOSS) == {}
    assert (await engine.ask("SELECT ename, vp_w, lat FROM events")).rows == [["kept", 0, 0]]
