"""The catalogue, and every store's schema against it."""

from pathlib import Path

import duckdb
import pytest

from tracker.sinks.duckdb_rows import TYPES
from tracker.sinks.migrations import read_migrations
from tracker.sinks.registry import SCHEMA
from tracker.tables import CATALOGUE, DEFAULTS, Kind, Table

TABLES = pytest.mark.parametrize("table", CATALOGUE.values(), ids=lambda table: table.name)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    """The newest schema, in memory."""
    connection = duckdb.connect(":memory:")
    for migration in read_migrations(SCHEMA / "duckdb"):
        connection.execute(migration.sql)
    return connection


@TABLES
def test_a_table_is_described_once_and_fully(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert all(column.meaning for column in table.columns)
    assert {*table.key, table.version or names[0]} <= set(names)


def test_every_kind_has_a_default_and_a_type() -> None:
    assert set(DEFAULTS) == set(TYPES) == set(Kind)


@TABLES
def test_duckdb_has_the_columns_in_their_order_and_none_is_nullable(
    database: duckdb.DuckDBPyConnection, table: Table
) -> None:
    found = database.execute(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE table_name = ? ORDER BY column_index",
        [table.name],
    ).fetchall()
    assert found == [(column.name, TYPES[column.kind], False) for column in table.columns]


@TABLES
def test_duckdbs_own_defaults_are_the_catalogues(database: duckdb.DuckDBPyConnection, table: Table) -> None:
    cast = ", ".join(f"{column.name} = ?::{TYPES[column.kind]}" for column in table.columns)
    database.begin()
    database.execute(f"INSERT INTO {table.name} DEFAULT VALUES")
    values = [column.default for column in table.columns]
    row = database.execute(f"SELECT {cast} FROM {table.name}", values).fetchone()  # noqa: S608 (the catalogue's names)
    database.rollback()
    assert row == (True,) * len(table.columns)


@TABLES
def test_duckdb_has_a_primary_key_where_the_latest_version_stays(
    database: duckdb.DuckDBPyConnection, table: Table
) -> None:
    keys = database.execute(
        "SELECT constraint_column_names FROM duckdb_constraints() "
        "WHERE table_name = ? AND constraint_type = 'PRIMARY KEY'",
        [table.name],
    ).fetchall()
    assert keys == ([(list(table.key),)] if table.version else [])


def test_duckdb_has_no_table_that_the_catalogue_does_not_know(database: duckdb.DuckDBPyConnection) -> None:
    found = {name for (name,) in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert found - {"ledger"} == set(CATALOGUE)


def test_the_schema_lies_beside_the_package() -> None:
    assert (Path(__file__).parents[2] / "schema") == SCHEMA
