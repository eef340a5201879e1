"""Every sink passes the one suite, the scripted one of the tests included."""

from pathlib import Path
from typing import Any, cast

import orjson

from tests.contracts.sink_suite import SinkSuite, TableSuite
from tests.support.scripted_sink import ScriptedSink
from tracker.sinks.base import Sink
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.registry import SinkSettings, make_sink


class TestDuckDb(TableSuite):
    def make(self, folder: Path) -> Sink:
        database = str(folder / "data" / "tracker.duckdb")
        return make_sink(SinkSettings("duckdb:test", "duckdb", database, handover=folder / "handover"))

    async def rows_of(self, sink: Sink, table: str) -> list[dict[str, Any]]:
        question = f"SELECT * FROM {table}"  # noqa: S608 (a name of the suite's own)
        answer = await cast(DuckDbSink, sink).query(question, max_rows=100_000, timeout_seconds=30)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


class TestScripted(SinkSuite):
    def make(self, folder: Path) -> Sink:
        return ScriptedSink("scripted:test", parallel=3)

    async def rows_of(self, sink: Sink, table: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in cast(ScriptedSink, sink).lines(table)]
