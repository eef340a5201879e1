"""Where the tests' DuckDB files lie, and how to ask them."""

from pathlib import Path
from typing import Any

from tracker.sinks.duckdb import DuckDbSettings, DuckDbSink
from tracker.sinks.registry import SCHEMA


def settings_in(folder: Path) -> DuckDbSettings:
    return DuckDbSettings(
        name="duckdb:test",
        database=folder / "data" / "tracker.duckdb",
        handover=folder / "handover",
        schema=SCHEMA / "duckdb",
        export=folder / "export",
    )


async def ask(sink: DuckDbSink, sql: str) -> list[list[Any]]:
    answer = await sink.query(sql, max_rows=10_000, timeout_seconds=30)
    return [list(row) for row in answer.rows]


async def count(sink: DuckDbSink, table: str = "events") -> int:
    ((number,),) = await ask(sink, f"SELECT count(*) FROM {table}")  # noqa: S608 (a name of the test's own)
    return int(number)
