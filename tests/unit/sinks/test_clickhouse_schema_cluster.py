"""The form for a cluster, derived from the one for a single server."""

import pytest

from tests.unit.sinks.clickhouse_sources import COUNTERS, HOSTS
from tracker.errors import ConfigError
from tracker.sinks.clickhouse_cluster_form import Place, database_form, statement_form
from tracker.sinks.clickhouse_schema import FOLDER
from tracker.sinks.clickhouse_source import read_source, script
from tracker.sinks.clickhouse_sql import split
from tracker.sinks.clickhouse_statements import understand

CLUSTER = Place("db", "c")
SINGLE = Place("db")
KNOWN = {"hosts", "events", "visitors"}


def form(sql: str, place: Place = CLUSTER) -> tuple[str, ...]:
    (statement,) = split(sql)
    return statement_form(understand(statement), KNOWN, place)


def test_a_table_is_replicated_on_each_shard_and_written_through_a_distributed_one() -> None:
    assert form(HOSTS) == (
        "CREATE TABLE IF NOT EXISTS db.hosts_local ON CLUSTER c (\n"
        "    hhash String,\n"
        "    hostname String,\n"
        "    created_at DateTime64(3, 'UTC')\n"
        ")\n"
        "ENGINE = ReplicatedReplacingMergeTree("
        "'/clickhouse/tables/{layer}-{shard}/{database}/{table}', '{replica}', created_at)\n"
        "ORDER BY (hhash, hostname)\n"
        "SETTINGS replicated_deduplication_window = 1000",
        "CREATE TABLE IF NOT EXISTS db.hosts ON CLUSTER c AS db.hosts_local\n"
        "ENGINE = Distributed('c', 'db', 'hosts_local', cityHash64(hhash, hostname))",
    )


def test_the_single_form_is_the_source_with_its_database() -> None:
    (sql,) = form(COUNTERS, SINGLE)
    assert sql == COUNTERS.strip().removesuffix(";").replace("counters", "db.counters").replace(
        ") ENGINE", ")\nENGINE"
    )


def test_the_columns_that_decide_the_shard_are_those_of_the_comment() -> None:
    _, distributed = form(f"-- shard by: cid\n{COUNTERS}")
    assert distributed.endswith("Distributed('c', 'db', 'counters_local', cityHash64(cid))")


def test_a_view_asks_the_tables_of_its_database() -> None:
    (sql,) = form(
        "CREATE OR REPLACE VIEW v AS WITH x AS (SELECT vid FROM events AS e FINAL JOIN visitors USING (vid)) "
        "SELECT hosts, 'FROM hosts', hosts.a, extract(day FROM x.d) FROM x, numbers(3) -- FROM hosts\n"
        "UNION ALL SELECT * FROM system.one WHERE a IN (SELECT a FROM hosts) "
        "UNION ALL SELECT * FROM events.other, (SELECT * FROM visitors(1));"
    )
    assert sql == (
        "CREATE OR REPLACE VIEW db.v ON CLUSTER c AS\n"
        "WITH x AS (SELECT vid FROM db.events AS e FINAL JOIN db.visitors USING (vid)) "
        "SELECT hosts, 'FROM hosts', hosts.a, extract(day FROM x.d) FROM x, numbers(3) -- FROM hosts\n"
        "UNION ALL SELECT * FROM system.one WHERE a IN (SELECT a FROM db.hosts) "
        "UNION ALL SELECT * FROM events.other, (SELECT * FROM visitors(1))"
    )


def test_a_with_that_hides_a_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="WITH has the name of a table: events"):
        form("CREATE OR REPLACE VIEW v AS WITH events AS (SELECT 1) SELECT * FROM events;")


def test_a_column_is_added_to_both_tables_and_an_index_to_the_one_that_stores() -> None:
    assert form("ALTER TABLE hosts ADD COLUMN IF NOT EXISTS a UInt8;") == (
        "ALTER TABLE db.hosts_local ON CLUSTER c ADD COLUMN IF NOT EXISTS a UInt8",
        "ALTER TABLE db.hosts ON CLUSTER c ADD COLUMN IF NOT EXISTS a UInt8",
    )
    assert form("ALTER TABLE hosts ADD INDEX IF NOT EXISTS i a TYPE minmax;") == (
        "ALTER TABLE db.hosts_local ON CLUSTER c ADD INDEX IF NOT EXISTS i a TYPE minmax",
    )
    assert form("ALTER TABLE hosts ADD COLUMN IF NOT EXISTS a UInt8;", SINGLE) == (
        "ALTER TABLE db.hosts ADD COLUMN IF NOT EXISTS a UInt8",
    )


def test_an_engine_without_a_replicated_form_is_refused() -> None:
    with pytest.raises(ConfigError, match="Memory has no form for a cluster"):
        form("CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Memory ORDER BY a;")


def test_odd_names_are_quoted() -> None:
    place = Place("my-db", "it's")
    assert database_form(place) == "CREATE DATABASE IF NOT EXISTS `my-db` ON CLUSTER `it's`"
    assert "Distributed('it\\'s', 'my-db', 'hosts_local'," in form(HOSTS, place)[1]


def test_every_statement_of_the_cluster_says_so_and_names_its_database() -> None:
    source = read_source(FOLDER)
    for statement in script(source, CLUSTER):
        if not statement.startswith("INSERT INTO db.schema_migrations ("):
            assert " ON CLUSTER c" in statement.partition("\n")[0]
    assert not any("ON CLUSTER" in one for one in script(source, Place("db", "c", is_by_each=True)))


def test_every_table_of_the_cluster_is_replicated_and_none_is_sharded_at_random() -> None:
    source = read_source(FOLDER)
    made = [sql for sql in script(source, CLUSTER) if sql.startswith("CREATE TABLE")]
    stored, asked = made[0::2], made[1::2]
    assert len(stored) == len(asked) == len(source.tables) + 1
    assert all("ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/" in sql for sql in stored)
    assert all("cityHash64(" in sql and "rand" not in sql for sql in asked)
    assert source.tables["events"].shard_by == ("eid",)
