"""The cluster's form on a real engine with a cluster's configuration and a real Keeper (ZooKeeper)."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.description import read
from cluster.plan import on_loopback, plan
from tests.support.architectures import ARCHITECTURES, shards_in_one
from tests.support.clickhouse_clustered import ClusteredEngine, clustered_engine
from tests.support.zookeeper import zookeeper
from tracker.sinks import clickhouse_upkeep as upkeep
from tracker.sinks.clickhouse_cluster_form import (
    Place,
    database_form,
    distributed_form,
    statement_form,
    stored_name,
)
from tracker.sinks.clickhouse_engine import Complaint
from tracker.sinks.clickhouse_schema import FOLDER, Layout, differences
from tracker.sinks.clickhouse_source import LEDGER, Source, read_source, script
from tracker.sinks.clickhouse_sql import split
from tracker.sinks.clickhouse_statements import AlterTable, CreateTable, CreateView, parts, understand
from tracker.sinks.clickhouse_there import TableThere, stored_tables

CLUSTER = "tracker_cluster"
ON_CLUSTER = Place("sfpla", CLUSTER)
EACH = Place("sfpla", CLUSTER, is_by_each=True)
LAYOUT = Layout(cluster=CLUSTER)
DEFAULT = plan(read(), on_loopback)

pytestmark = pytest.mark.long

WRONG = (
    "RENAME TABLE cells TO cells_before",
    "ALTER TABLE emails DROP COLUMN vid",
    "RENAME TABLE hosts_local TO hosts_before",
    "CREATE TABLE hosts_local AS hosts_before "
    "ENGINE = ReplacingMergeTree(created_at) ORDER BY (hhash, hostname)",
    "RENAME TABLE counters TO counters_before",
    "CREATE TABLE counters AS counters_local "
    "ENGINE = Distributed(tracker_cluster, sfpla, counters_local, rand())",
)
APPLY = "python -m tracker schema --clickhouse cluster --apply"
ASIDE = "copy its rows into another database, drop it"
ANEW = f"cannot be altered; {ASIDE}, run {APPLY} and copy the rows from there"
TARGET = "Distributed('tracker_cluster', 'sfpla', 'counters_local', "
TOLD = {
    "cells": f"sfpla.cells is missing: {APPLY}",
    "emails": f"sfpla.emails has no column vid UUID: {APPLY}",
    "hosts": f"sfpla.hosts_local is ReplacingMergeTree instead of ReplicatedReplacingMergeTree: {ANEW}",
    "counters": f"sfpla.counters is {TARGET}rand()) instead of {TARGET}cityHash64(id, date, cid)): {ANEW}",
}


async def made(engine: ClusteredEngine, source: Source) -> None:
    """The whole schema, replicated tables at once as they are after their alterations.

    Here they stay read-only for ever: they can neither be altered nor written to.
    """
    for statement in script(settled(source), EACH):
        if not statement.startswith("INSERT"):
            await engine.command(statement, anywhere=True)
    for table in source.tables:
        for said in source.alterations(table):
            if said.is_for_distributed:
                await engine.command(statement_form(said, (), EACH)[-1], anywhere=True)


def settled(source: Source) -> Source:
    """The source whose tables are made as they are now, without alterations."""
    statements = tuple(
        tuple(
            replace(said, columns=altered(said.columns, source.alterations(said.name)))
            if isinstance(said, CreateTable)
            else said
            for said in file
            if not isinstance(said, AlterTable)
        )
        for file in source.statements
    )
    return replace(source, statements=statements)


def altered(columns: str, alterations: Sequence[AlterTable]) -> str:
    """A table's columns, with their brackets, after alterations."""
    for one in (part for said in alterations for part in parts(said.alterations)):
        verb, _, rest = one.partition(" COLUMN ")
        if verb == "MODIFY":
            name, _, kind = rest.partition(" ")
            columns, count = re.subn(rf"\b{name} \w+", f"{name} {kind}", columns, count=1)
            assert count == 1
        else:
            columns = f"{columns.rstrip()[:-1]}, {rest.removeprefix('IF NOT EXISTS ')})"
    return columns


async def test_the_whole_schema_is_made_of_replicated_and_distributed_tables(tmp_path: Path) -> None:
    source = read_source(FOLDER)
    with (
        zookeeper(tmp_path) as keeper,
        clustered_engine(tmp_path, "sfpla", DEFAULT, keeper_port=keeper) as engine,
    ):
        await made(engine, source)
        await made(engine, source)  # nothing the second time
        kinds = {table: found.engine for table, found in (await stored_tables(engine)).items()}
        paths = await engine.ask("SELECT table, zookeeper_path FROM system.replicas")
        assert await differences(engine, LAYOUT) == {}
        for statement in WRONG:
            await engine.command(statement)
        assert await differences(engine, LAYOUT) == TOLD
    tables = source.tables.keys() | {LEDGER}
    assert kinds == {
        **{f"{table}_local": "ReplicatedReplacingMergeTree" for table in tables},
        **dict.fromkeys(tables, "Distributed"),
        **dict.fromkeys(source.views, "View"),
    }
    assert {(table, path) for table, path in paths.rows} == {
        (f"{table}_local", f"/clickhouse/tables/1-1/sfpla/{table}_local") for table in tables
    }


@pytest.mark.parametrize("name", ["unreplicated", "one shard with replicas", "hybrid"])
async def test_the_servers_of_an_architecture_find_the_replicas_of_their_shard(
    tmp_path: Path, name: str
) -> None:
    source, planned = read_source(FOLDER), plan(ARCHITECTURES[name], on_loopback)
    with ExitStack() as running:
        keeper = running.enter_context(zookeeper(tmp_path))
        engines = [
            running.enter_context(clustered_engine(tmp_path / each.name, "sfpla", planned, number, keeper))
            for number, each in enumerate(planned.servers)
        ]
        for engine in engines:
            await made(engine, source)
            assert await differences(engine, LAYOUT) == {}
        found = [await replicas(engine) for engine in engines]
    copies = ARCHITECTURES[name].replicas
    assert found == [
        {(f"/clickhouse/tables/1-{each.shard}/sfpla/", str(each.replica), copies)} for each in planned.servers
    ]


async def replicas(engine: ClusteredEngine) -> set[tuple[object, ...]]:
    """Where in Keeper its tables are, which replica of them it is, and how many there are."""
    found = await engine.ask(
        "SELECT DISTINCT replaceOne(zookeeper_path, table, ''), replica_name, total_replicas"
        " FROM system.replicas"
    )
    return {tuple(row) for row in found.rows}


async def test_every_statement_of_the_cluster_parses(tmp_path: Path) -> None:
    source = read_source(FOLDER)
    (added,) = split("ALTER TABLE hosts ADD COLUMN IF NOT EXISTS note String;")
    there = TableThere("ReplicatedReplacingMergeTree", "ReplicatedReplacingMergeTree ORDER BY id")
    old = replace(
        there, engine_full="ReplicatedReplacingMergeTree ORDER BY id TTL toDateTime(a) + toIntervalSecond(1)"
    )
    wanted = upkeep.Wanted(upkeep.ttls(source.tables, {"logs": 86_400.0}), {})
    kept = list(
        upkeep.statements(source.tables, {"logs_local": there, "events_local": old}, wanted, ON_CLUSTER)
    )
    assert kept == [
        "ALTER TABLE sfpla.events_local ON CLUSTER tracker_cluster REMOVE TTL",
        "ALTER TABLE sfpla.logs_local ON CLUSTER tracker_cluster "
        "MODIFY TTL toDateTime(created_at) + toIntervalSecond(86400)",
    ]
    with clustered_engine(tmp_path, "sfpla", shards_in_one(2)) as engine:
        for statement in (
            *script(source, ON_CLUSTER),
            *statement_form(understand(added), (), ON_CLUSTER),
            *kept,
        ):
            await engine.command(f"EXPLAIN AST {statement}", anywhere=True)
        with pytest.raises(Complaint):
            await engine.command("EXPLAIN AST CREATE TABLE t ON CLUSTER (a UInt8)")


async def two_shards(engine: ClusteredEngine, source: Source, place: Place) -> None:
    """Every table as a Distributed one over two shards.

    The engine is both; each sees those rows of `t_rows` that the sharding key would have put there.
    """
    await engine.command(database_form(place), anywhere=True)
    for table in source.tables.values():
        rows, part = place.table(f"{table.name}_rows"), place.table(stored_name(table.name, place))
        distributed = distributed_form(table, place)
        await engine.command(f"CREATE TABLE {rows} AS sfpla.{table.name}", anywhere=True)
        await engine.command(
            f"CREATE VIEW {part} AS SELECT * FROM {rows} FINAL "  # noqa: S608 (a test's own words)
            f"WHERE {distributed.arguments[-1]} % 2 + 1 = shardNum()",
            anywhere=True,
        )
        await engine.command(
            f"CREATE TABLE {place.table(table.name)} AS {part} "
            f"ENGINE = Distributed({', '.join(distributed.arguments)})",
            anywhere=True,
        )
    for said in (said for statements in source.statements for said in statements):
        if isinstance(said, CreateView):
            for statement in statement_form(said, source.names, place):
                await engine.command(statement, anywhere=True)


def some(prefix: str, count: int) -> str:
    """One of so many UUIDs, by the row's number."""
    return f"toUUID(UUIDNumToString(MD5(concat('{prefix}', toString(number % {count})))))"


EVENTS = {
    "eid": some("e", 600),
    **{
        name: some(name, count)
        for name, count in {"oid": 3, "vid": 17, "sid": 31, "uid": 5, "tid": 2}.items()
    },
    "ref": some("r", 13),
    "org": "concat('o', toString(number % 3))",
    "hhash": "concat('h', toString(number % 2))",
    "iphash": "concat('i', toString(number % 7))",
    "ip": "concat('10.0.0.', toString(number % 7))",
    "url": "concat('//a/', toString(number % 11))",
    "ename": "['view', 'conversion', 'purchase', 'paid', 'impression'][number % 5 + 1]",
    "outcome": "if(number % 4 = 0, 'won', '')",
    "arm_id": "concat('arm', toString(number % 2))",
    "params": """concat('{"a":', toString(number), '}')""",
    "created_at": "now64(3) - number % 40 * 86400",
    "lat": "number % 9",
    "lon": "number % 8",
    "is_client": "number % 2 = 0",
    "is_new": "number % 6 = 0",
    **dict.fromkeys(("bhash", "browser", "last", "sink", "rcode"), "'same'"),
}
PAYMENTS = {
    **{
        name: some(name, count)
        for name, count in {"id": 600, "oid": 3, "uid": 5, "vid": 17, "orid": 40}.items()
    },
    **dict.fromkeys(("hhash", "org"), "'same'"),
    **dict.fromkeys(("total", "revenue"), "number / 8"),
    **dict.fromkeys(("created_at", "updated_at"), "now64(3) - number"),
}


async def fill(engine: ClusteredEngine, table: str, values: dict[str, str]) -> None:
    """Rows in the one database, and twice the same ones in the other."""
    await engine.command(
        f"INSERT INTO sfpla.{table} ({', '.join(values)}) "  # noqa: S608 (as above)
        f"SELECT {', '.join(values.values())} FROM numbers(600)"
    )
    for _ in range(2):
        await engine.command(f"INSERT INTO two.{table}_rows SELECT * FROM sfpla.{table}")  # noqa: S608 (as above)


async def test_the_views_answer_over_two_shards_as_over_one_server(tmp_path: Path) -> None:
    source, two = read_source(FOLDER), Place("two", CLUSTER, is_by_each=True)
    with clustered_engine(tmp_path, "sfpla", shards_in_one(2)) as engine:
        for statement in script(source, Place("sfpla")):
            await engine.command(statement, anywhere=True)
        await two_shards(engine, source, two)
        await fill(engine, "events", EVENTS)
        await fill(engine, "payments", PAYMENTS)
        shards = await engine.ask("SELECT shardNum(), count() FROM two.events GROUP BY 1 ORDER BY 1")
        assert [shard for shard, count in shards.rows if count > 200] == [1, 2]
        for view in sorted(source.views):
            one, other = [
                sorted(map(repr, (await engine.ask(f"SELECT * FROM {database}.{view}")).rows))  # noqa: S608 (as above)
                for database in ("sfpla", "two")
            ]
            assert one, view
            assert one == other, view
