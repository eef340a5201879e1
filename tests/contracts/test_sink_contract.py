"""Every sink passes the one suite."""

from pathlib import Path
from typing import Any, cast

from tests.contracts.sink_suite import SinkSuite
from tracker.sinks.base import Sink
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.registry import SinkSettings, make_sink


class TestDuckDb(SinkSuite):
    def make(self, folder: Path) -> Sink:
        database = str(folder / "data" / "tracker.duckdb")
        return make_sink(SinkSettings("duckdb:test", "duckdb", database, handover=folder / "handover"))

    async def rows_of(self, sink: Sink, table: str) -> list[dict[str, Any]]:
        question = f"SELECT * FROM {table}"  # noqa: S608 (a name of the suite's own)
        answer = await cast(DuckDbSink, sink).query(question, max_rows=100_000, timeout_seconds=30)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
