"""Every sink passes the one suite, the scripted one of the tests included."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from tests.contracts.sink_suite import SinkSuite, TableSuite
from tests.support.clickhouse import made_before, without_nothings
from tests.support.clickhouse_process import KINDS, ClickHouse, serving
from tests.support.clickhouse_writes import over_http
from tests.support.scripted_sink import ScriptedSink
from tracker.sinks.base import Sink, Store
from tracker.sinks.registry import SinkSettings, make_sink


async def asked(sink: Sink, sql: str) -> list[dict[str, Any]]:
    answer = await cast(Store, sink).query(sql, max_rows=100_000, timeout_seconds=30)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


class TestDuckDb(TableSuite):
    def make(self, folder: Path) -> Sink:
        database = str(folder / "data" / "tracker.duckdb")
        return make_sink(SinkSettings("duckdb:test", "duckdb", database, handover=folder / "handover"))

    async def rows_of(self, sink: Sink, table: str) -> list[dict[str, Any]]:
        return await asked(sink, f"SELECT * FROM {table}")  # noqa: S608 (a name of the suite's own)


class ClickHouseSuite(TableSuite):
    """However ClickHouse runs."""

    def kept(self, document: Any) -> Any:
        return without_nothings(document)

    async def rows_of(self, sink: Sink, table: str) -> list[dict[str, Any]]:
        return await asked(sink, f"SELECT * FROM {table} FINAL")  # noqa: S608 (a name of the suite's own)


@pytest.mark.long
class TestEmbeddedClickHouse(ClickHouseSuite):
    def make(self, folder: Path) -> Sink:
        return make_sink(made_before(folder))


@pytest.fixture(scope="module", params=KINDS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with serving(tmp_path_factory.mktemp("server") / "data", request.param) as server:
        yield server


@pytest.mark.long
class TestClickHouseOverHttp(ClickHouseSuite):
    server: ClickHouse

    @pytest.fixture(autouse=True)
    def emptied(self, running: ClickHouse) -> Iterator[None]:
        self.server = running
        yield
        for table in ("events", "updates"):
            running.ask(f"TRUNCATE TABLE IF EXISTS sfpla.{table}")

    def make(self, folder: Path) -> Sink:
        return make_sink(replace(over_http(folder, self.server.port), write_seconds=60.0))


class TestScripted(SinkSuite):
    def make(self, folder: Path) -> Sink:
        return ScriptedSink("scripted:test", parallel=3)

    async def rows_of(self, sink: Sink, table: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in cast(ScriptedSink, sink).lines(table)]
