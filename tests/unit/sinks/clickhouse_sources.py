"""A small schema of the tests' own, and what ClickHouse says of it."""

from pathlib import Path

from tracker.sinks.clickhouse_engine import Engine
from tracker.sinks.clickhouse_sql import literal

HOSTS = """
-- the name behind each hash
CREATE TABLE IF NOT EXISTS hosts (
    hhash String,
    hostname String,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(created_at)
ORDER BY (hhash, hostname)
SETTINGS non_replicated_deduplication_window = 1000;
"""
COUNTERS = """
CREATE TABLE IF NOT EXISTS counters (
    id String,
    total UInt64,
    date Date,
    cid UUID
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(date)
ORDER BY (id, date, cid);
"""
NAMES = "CREATE OR REPLACE VIEW names AS SELECT hostname FROM hosts FINAL;"


def write_files(folder: Path, *files: str) -> Path:
    """Numbered files in a folder of their own."""
    folder.mkdir(exist_ok=True)
    for number, sql in enumerate(files, start=1):
        (folder / f"{number:04d}_part.sql").write_text(sql, encoding="utf-8")
    return folder


async def engine_of_table(engine: Engine, table: str) -> str:
    """`engine_full` of a table."""
    told = await engine.ask(
        f"SELECT engine_full FROM system.tables WHERE name = {literal(table)} "  # noqa: S608 (a test's own words)
        f"AND database = {literal(engine.database)}"
    )
    return str(told.rows[0][0])


async def names_in(engine: Engine, database: str) -> set[str]:
    """Every table and view."""
    told = await engine.ask(
        f"SELECT name FROM system.tables WHERE database = {literal(database)}",  # noqa: S608 (as above)
        anywhere=True,
    )
    return {name for (name,) in told.rows}
