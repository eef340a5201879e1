"""Reading the SQL of ClickHouse's schema: what it says, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sinks.clickhouse_sources import HOSTS
from tracker.errors import ConfigError
from tracker.sinks.clickhouse_schema import FOLDER
from tracker.sinks.clickhouse_source import read_source
from tracker.sinks.clickhouse_sql import compact, split, tokens
from tracker.sinks.clickhouse_statements import (
    AlterTable,
    CreateTable,
    CreateView,
    Understood,
    engine_clause,
    understand,
)
from tracker.tables import Kind
from tracker.tables.money import PAYMENTS

TABLE = "CREATE TABLE IF NOT EXISTS t (a UUID, b UInt8) ENGINE = ReplacingMergeTree ORDER BY (b, a)"


def understood(sql: str) -> Understood:
    (statement,) = split(f"{sql};")
    return understand(statement)


def test_semicolons_in_texts_names_and_comments_end_nothing() -> None:
    found = split("-- a; b\nSELECT ';', `;`, \"a;\" /* ; */ -- ;\n, 'it''s; \\';';\nSELECT 2;\n-- the end;")
    assert [statement.first_line for statement in found] == [
        "SELECT ';', `;`, \"a;\" /* ; */ -- ;",
        "SELECT 2",
    ]
    assert found[0].comments == ("-- a; b",)


@given(st.lists(st.sampled_from(["a", "'x;'", "(", ")", " ", "\n", "-- c\n", "`q`", "1.5", ","])))
def test_tokens_lose_no_character(pieces: list[str]) -> None:
    sql = "".join(pieces)
    assert "".join(token.text for token in tokens(sql)) == sql


@pytest.mark.parametrize("sql", ["SELECT 'open", "SELECT `open", "SELECT 1 # comment;", "SELECT 1"])
def test_what_cannot_be_read_to_its_end_is_refused(sql: str) -> None:
    with pytest.raises(ConfigError):
        split(sql)


def test_a_table_is_taken_apart() -> None:
    said = understood(HOSTS.strip().removesuffix(";"))
    assert isinstance(said, CreateTable)
    assert (said.name, said.engine.name, said.engine.arguments) == (
        "hosts",
        "ReplacingMergeTree",
        ("created_at",),
    )
    assert said.engine.sorting_columns == said.shard_by == ("hhash", "hostname")
    assert said.engine.settings == {"non_replicated_deduplication_window": "1000"}
    assert said.columns.startswith("(\n    hhash String,")


def test_a_column_may_have_the_name_of_a_clause() -> None:
    engine = engine_clause("ReplacingMergeTree ORDER BY (a, ttl, comment) SETTINGS x = 1")
    assert engine.sorting_columns == ("a", "ttl", "comment")
    assert list(engine.clauses) == ["ORDER BY", "SETTINGS"]


def test_a_comment_names_the_columns_that_decide_the_shard() -> None:
    said = understood(f"-- what it is\n-- shard by: a\n{TABLE}")
    assert isinstance(said, CreateTable)
    assert said.shard_by == ("a",)


def test_rows_of_one_key_may_not_lie_on_different_shards() -> None:
    with pytest.raises(ConfigError, match="shard by: c must be columns of ORDER BY"):
        understood(f"-- shard by: c\n{TABLE}")


def test_a_view_and_an_alteration_are_taken_apart() -> None:
    assert understood("CREATE OR REPLACE VIEW v AS SELECT 1") == CreateView("v", "SELECT 1")
    added = "ADD COLUMN IF NOT EXISTS c Map(String, UInt8), ADD COLUMN IF NOT EXISTS d String DEFAULT 'a, b'"
    assert understood(f"ALTER TABLE t {added}") == AlterTable("t", added, is_for_distributed=True)
    exact = "MODIFY COLUMN c Decimal(38, 9), MODIFY COLUMN d Decimal(38,9)"
    assert understood(f"ALTER TABLE t {exact}") == AlterTable("t", exact, is_for_distributed=True)
    index = "ADD INDEX IF NOT EXISTS i c TYPE minmax"
    assert understood(f"ALTER TABLE t {index}") == AlterTable("t", index, is_for_distributed=False)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "DELETE FROM t WHERE 1",
        "INSERT INTO t VALUES (1)",
        "RENAME TABLE t TO u",
        "OPTIMIZE TABLE t FINAL",
        "SELECT 1",
        "CREATE TABLE t (a UUID) ENGINE = MergeTree ORDER BY a",
        "CREATE OR REPLACE TABLE t (a UUID) ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE IF NOT EXISTS db.t (a UUID) ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE IF NOT EXISTS t AS u ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE IF NOT EXISTS t (a UUID) ENGINE = MergeTree ORDER BY a AS SELECT 1 a UNION ALL",
        "CREATE TABLE IF NOT EXISTS t (a UUID) ENGINE = MergeTree ORDER BY a ORDER BY b",
        "CREATE TABLE IF NOT EXISTS t (a UUID ENGINE = MergeTree ORDER BY a",
        "CREATE VIEW v AS SELECT 1",
        "CREATE OR REPLACE VIEW v",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS v TO t AS SELECT 1",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ADD COLUMN a UInt8",
        "ALTER TABLE t MODIFY COLUMN a UInt8",
        "ALTER TABLE t MODIFY COLUMN a Decimal(38, 9) CODEC(NONE)",
        "ALTER TABLE t MODIFY COLUMN a Decimal(38, 9), DROP COLUMN b",
        "ALTER TABLE t MODIFY COLUMN a Decimal(38, 9), ADD COLUMN IF NOT EXISTS b UInt8",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS b UInt8, DROP COLUMN a",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS b UInt8, ADD INDEX IF NOT EXISTS i b TYPE minmax",
        "ALTER TABLE t DELETE WHERE 1",
        "ALTER TABLE t DROP PARTITION 202611",
        "ALTER TABLE t UPDATE a = 1 WHERE 1",
    ],
)
def test_a_statement_that_could_destroy_or_fail_the_second_time_is_refused(sql: str) -> None:
    with pytest.raises(ConfigError):
        understood(sql)


def test_nothing_in_the_schema_destroys() -> None:
    source = read_source(FOLDER)
    assert {type(said) for statements in source.statements for said in statements} <= {
        CreateTable,
        CreateView,
        AlterTable,
    }
    words = [token.word for one in source.migrations for token in tokens(one.sql) if token.kind == "word"]
    assert not {*words} & {"DROP", "TRUNCATE", "DELETE", "DETACH", "RENAME", "EXCHANGE", "UPDATE"}
    amounts = [column for column in PAYMENTS.columns if column.kind is Kind.DECIMAL]
    assert words.count("MODIFY") == len(amounts)  # each becomes exact, and nothing else is modified


def test_what_a_server_shows_of_an_engine_is_read_too() -> None:
    engine = engine_clause(
        "ReplicatedReplacingMergeTree('/a/{shard}', '{replica}', v) PARTITION BY toYYYYMM(v) ORDER BY (a, b) "
        "TTL toDateTime(v) + toIntervalSecond(5) SETTINGS index_granularity = 8192, fsync_after_insert = 1"
    )
    assert engine.arguments == ("'/a/{shard}'", "'{replica}'", "v")
    assert dict(engine.clauses) == {
        "PARTITION BY": "toYYYYMM(v)",
        "ORDER BY": "(a, b)",
        "TTL": "toDateTime(v) + toIntervalSecond(5)",
        "SETTINGS": "index_granularity = 8192, fsync_after_insert = 1",
    }
    assert engine.settings == {"index_granularity": "8192", "fsync_after_insert": "1"}


def test_texts_are_compared_without_their_spaces() -> None:
    assert compact("toDateTime( v )+ toIntervalSecond(5)") == compact("toDateTime(v) + toIntervalSecond(5)")
    assert compact("a b") != compact("ab")
    assert compact("'a b'") != compact("'ab'")
