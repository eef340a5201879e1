"""Questions to ClickHouse: what may be asked, what comes back, that each is bounded and holds nothing up."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.clickhouse import DATABASE, embedded_engine
from tests.support.clickhouse_process import KINDS, ClickHouse, serving
from tracker.errors import QueryError
from tracker.sinks.base import Answer
from tracker.sinks.clickhouse_asked import to_ask
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_engine import Engine
from tracker.sinks.clickhouse_http import Access, HttpEngine
from tracker.sinks.clickhouse_questions import FORBIDDEN_FUNCTIONS, TABLE_FUNCTIONS, Allowed
from tracker.sinks.clickhouse_store import AT_ONCE, BOUNDS, Place, Questions
from tracker.sinks.registry import SinkSettings

FOREVER = "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1"
TABLE = (
    "CREATE TABLE events (eid UUID, created_at DateTime64(3, 'UTC'), vid UUID, ename String, n Int32, "
    "params JSON) ENGINE = ReplacingMergeTree ORDER BY (created_at, eid)"
)


@dataclass
class Store:
    """A database with a table `events` of one row, and questions to it."""

    place: Place
    engine: Engine
    questions: Questions

    async def ask(self, sql: str, *, max_rows: int = 10_000, timeout_seconds: float = 30) -> Answer:
        return await self.questions.query(sql, max_rows=max_rows, timeout_seconds=timeout_seconds)

    async def value(self, sql: str) -> Any:
        (row,) = (await self.ask(sql)).rows
        return row[0]

    async def runs(self, count: int) -> None:
        """Wait until so many of the endless questions run."""
        sql = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%'"
        async with asyncio.timeout(10):
            while True:
                told = await self.engine.ask(sql)
                if told.rows[0][0] - 1 == count:
                    return
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ClickHouse]]:
    """One server of each kind for all tests, each of which has a database of its own."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("clickhouse")
        yield cache(lambda kind: stack.enter_context(serving(folder / "data", kind)))


@pytest.fixture(params=["embedded", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS)])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Callable[[str], ClickHouse]
) -> AsyncIterator[Store]:
    """Over the engine in this process, and over servers."""
    if request.param == "embedded":
        async with embedded_engine(tmp_path) as engine, filled(engine, lambda _: beside(tmp_path)) as made:
            yield made
        return
    server = over_http(servers(request.param).port, 60, f"test_{uuid.uuid4().hex}")
    await server.open()
    async with filled(server, lambda seconds: again(server, seconds)) as made:
        yield made
    await server.close()


def over_http(port: int, seconds: float, database: str = "default") -> HttpEngine:
    return HttpEngine("127.0.0.1", port, Access(database=database, answer_seconds=seconds))


def again(server: HttpEngine, seconds: float) -> HttpEngine:
    return over_http(int(server.place.rpartition(":")[2]), seconds, server.database)


def beside(folder: Path) -> EmbeddedEngine:
    return EmbeddedEngine(folder / "clickhouse", DATABASE, folder / "handover")


@asynccontextmanager
async def filled(engine: Engine, place: Place) -> AsyncIterator[Store]:
    await engine.command(f"CREATE DATABASE IF NOT EXISTS {engine.database}", anywhere=True)
    await engine.command(TABLE)
    await engine.insert("events", b'{"ename": "kept", "params": {"a": [1]}}\n')
    async with Questions([place]) as questions:
        yield Store(place, engine, questions)


ASKED = [
    "SELECT ename FROM events WHERE vid = '0190163d-8694-739b-aea5-966c26f8ad91'",
    "SELECT ename FROM {database}.events",
    "select count(*) from events final;",
    "-- a comment\nSELECT 1 /* another */",
    "SELECT 'it''s \\' -- \"`\\\\' AS `a b`",
    "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
    "SELECT 1 UNION ALL (SELECT 2 LIMIT 1)",
    "SELECT a.n FROM events AS a JOIN events AS b USING (eid)",
    "SELECT n FROM events WHERE n IN (SELECT n FROM events) OR n IN (1, 2)",
    "SELECT arrayJoin([1, 2]) IN [1, 2]",
    "SELECT params.a FROM events",
    "SELECT * FROM numbers(3)",
    "SELECT * FROM values('a Int8, b String', (1, 'x'))",
    "SELECT * FROM view(SELECT 1)",
    "SELECT * FROM system.tables",
    "SELECT table_name FROM information_schema.tables",
    "SHOW TABLES",
    "SHOW FULL COLUMNS FROM events LIKE 'e%'",
    "SHOW CREATE TABLE events",
    "SHOW DATABASES",
    "DESCRIBE events",
    "DESCRIBE (SELECT 1 AS a)",
    "EXISTS TABLE events",
    "EXPLAIN SELECT * FROM events",
    "EXPLAIN AST SELECT * FROM events",
    "EXPLAIN PIPELINE header = 1, graph = 0 SELECT * FROM events",
    "SELECT 'file(''a.csv''); DROP TABLE events'",
    "SELECT count() FROM events WHERE created_at > now() - INTERVAL 1 DAY",
]

REFUSED = [
    "INSERT INTO events (n) VALUES (1)",
    "INSERT INTO events (n) SELECT 1",
    "INSERT INTO FUNCTION file('{folder}/out.csv', 'CSV', 'a Int8') SELECT 1",
    "ALTER TABLE events DELETE WHERE 1",
    "DELETE FROM events WHERE 1",
    "TRUNCATE TABLE events",
    "OPTIMIZE TABLE events FINAL",
    "DROP TABLE events",
    "RENAME TABLE events TO other",
    "CREATE TABLE a (n Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE a (n Int8)",
    "CREATE FUNCTION f AS x -> x",
    "CREATE USER u",
    "GRANT SELECT ON *.* TO u",
    "SET max_threads = 1",
    "USE system",
    "KILL QUERY WHERE 1",
    "SYSTEM FLUSH LOGS",
    "BACKUP TABLE events TO File('{folder}/b')",
    "CHECK TABLE events",
    "ATTACH TABLE a FROM '{folder}' (n Int8) ENGINE = Memory",
    "SHOW PROCESSLIST",
    "SHOW TABLES WHERE name IN (SELECT line FROM file('{folder}/a.csv', 'LineAsString'))",
    "SHOW TABLES INTO OUTFILE '{folder}/out.csv'",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE events",
    "SELECT 1 PARALLEL WITH DROP TABLE events",
    "",
    " ; ",
    "-- nothing",
    "SELEC 1 +",
    "SELECT * FROM nowhere",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT * FROM (SELECT 1 SETTINGS max_threads = 1)",
    "DESCRIBE events SETTINGS max_threads = 1",
    "SELECT 1 FORMAT JSON",
    "SELECT 1 INTO OUTFILE '{folder}/out.csv'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{folder}/out.csv'",
    "EXPLAIN INSERT INTO events (n) SELECT 1",
    "EXPLAIN SELECT * FROM file('{folder}/a.csv')",
    "EXPLAIN TABLE OVERRIDE mysql('a', 'b', 'c', 'd', 'e') PARTITION BY x",
    "EXPLAIN EXPLAIN SELECT 1",
    "SELECT file('{folder}/a.csv')",
    "SELECT FILE('{folder}/a.csv')",
    "SELECT 1 WHERE (SELECT file('{folder}/a.csv')) != ''",
    "SELECT * FROM file('{folder}/a.csv')",
    "DESCRIBE file('{folder}/a.csv')",
    "WITH a AS (SELECT * FROM file('{folder}/a.csv')) SELECT * FROM a",
    "SELECT 1 IN (SELECT * FROM file('{folder}/a.csv'))",
    "SELECT n FROM view(SELECT * FROM file('{folder}/a.csv'))",
    "SELECT 1 AS `a\n      Subquery` FROM file('{folder}/a.csv')",
    "SELECT * FROM default.`{folder}/a.csv`",
    "SELECT 'x' IN default.`{folder}/a.csv`",
    "SELECT * FROM `{folder}/a.csv`",
    "SELECT * FROM '{folder}/a.csv'",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/a', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('{folder}/a.db', 'a')",
    "SELECT * FROM executable('x', 'TSV', 'a String')",
    "SELECT * FROM python('x')",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM dictionary('x')",
    "SELECT * FROM filesystem('{folder}')",
    "SELECT catboostEvaluate('{folder}/a.csv', 1)",
    "SELECT hasColumnInTable('127.0.0.1', 'a', 'b', 'c', 'd', 'e')",
    "SELECT generateSerialID('x')",
    "SELECT aiGenerate('x')",
]


async def test_questions_that_read_tables_are_answered(store: Store) -> None:
    failed = {}
    for sql in ASKED:
        try:
            await store.ask(sql.format(database=store.engine.database))
        except QueryError as error:
            failed[sql] = str(error)
    assert failed == {}


async def test_everything_else_is_refused_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    before = await store.engine.ask("SHOW TABLES")
    answered = {}
    for sql in REFUSED:
        try:
            answered[sql] = await store.ask(sql.replace("{folder}", str(tmp_path / "files")))
        except QueryError:
            continue
    assert answered == {}
    assert [file.name for file in (tmp_path / "files").iterdir()] == ["a.csv"]
    assert await store.engine.ask("SHOW TABLES") == before
    assert await store.value("SELECT count() FROM events") == 1


async def test_what_writes_is_refused_by_the_engine_as_well(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def anything(_: Engine, sql: str) -> Allowed:
        return Allowed(sql)

    monkeypatch.setattr("tracker.sinks.clickhouse_store.checked", anything)
    for sql in (
        "CREATE TABLE a ENGINE = Memory AS SELECT 1",
        "DROP TABLE events",
        "SELECT * FROM url('http://x/')",
    ):
        with pytest.raises(QueryError, match="readonly mode"):
            await store.ask(sql)


async def test_a_refusal_says_why(store: Store) -> None:
    for sql, reason in {
        "DROP TABLE events": "only SELECT .* not DROP",
        "SELECT 1; SELECT 2": "Multi-statements are not allowed",
        "": "Empty query",
        "SELECT * FROM url('x')": "the table function url cannot",
        "SELECT file('x')": "the function file cannot",
        "SELECT * FROM default.x": "only tables of .* and system can be asked, not default.x",
        "SELECT 1 SETTINGS max_threads = 1": "SETTINGS cannot be part",
        "SELECT nothing FROM events": "Unknown expression identifier `nothing`. .UNKNOWN_IDENTIFIER.$",
        "SELECT 1 +": "Syntax error: failed at position 11 .end of query.",
    }.items():
        with pytest.raises(QueryError, match=reason):
            await store.ask(sql)


async def test_no_allowed_function_reaches_outside(store: Store) -> None:
    told = await store.engine.ask("SELECT name FROM system.table_functions")
    known = {str(row[0]) for row in told.rows}
    words = ("file", "url", "remote", "cluster", "sql", "lake", "iceberg", "s3", "exec", "python", "merge")
    assert known >= TABLE_FUNCTIONS
    assert [name for name in TABLE_FUNCTIONS if any(word in name.lower() for word in words)] == []
    told = await store.engine.ask("SELECT lower(name) FROM system.functions WHERE categories = 'AI'")
    for name in (str(row[0]) for row in told.rows):
        with pytest.raises(QueryError):
            await store.ask(f"SELECT {name}('x')")
    assert "file" in FORBIDDEN_FUNCTIONS


async def test_values_are_what_json_can_say(store: Store) -> None:
    answers = {
        "toUUID('0190163d-8694-739b-aea5-966c26f8ad91')": "0190163d-8694-739b-aea5-966c26f8ad91",
        "toDateTime64('2026-11-22 03:00:00.123456', 6)": "2026-11-22 03:00:00.123",
        "toDateTime('2026-11-22 03:00:00')": "2026-11-22 03:00:00.000",
        "toDateTime('2026-10-25 02:30:00', 'Europe/Berlin')": "2026-10-25 00:30:00.000",
        "toDate('2026-11-22')": "2026-11-22",
        "toDecimal32('1.50', 2)": "1.50",
        "18446744073709551615": 18446744073709551615,
        "toInt128('170141183460469231731687303715884105727')": "170141183460469231731687303715884105727",
        "toInt128(7)": 7,
        "toFloat64(1)": 1.0,
        "nan": "nan",
        "-inf": "-inf",
        "true": True,
        "NULL": None,
        "[1, 2]": [1, 2],
        "[toDateTime('2026-11-22 03:00:00')]": ["2026-11-22 03:00:00.000"],
        "(1, toDateTime('2026-11-22 03:00:00'))": [1, "2026-11-22 03:00:00.000"],
        "CAST((1, toDateTime('2026-11-22 03:00:00')), 'Tuple(a UInt8, b DateTime)')": {
            "a": 1,
            "b": "2026-11-22 03:00:00.000",
        },
        "map('a', toNullable(toDateTime('2026-11-22 03:00:00')))": {"a": "2026-11-22 03:00:00.000"},
        "toLowCardinality('x')": "x",
        "toIPv4('10.0.0.1')": "10.0.0.1",
        "'\\0\\n\u2028ö😀'": "\0\n\u2028ö😀",
        """'{"a.b": {"c": [1, "x"], "n": 18446744073709551615}}'::JSON""": {
            "a.b": {"c": [1, "x"], "n": 18446744073709551615}
        },
    }
    for sql, value in answers.items():
        found = await store.value(f"SELECT {sql}")
        assert (found, type(found)) == (value, type(value)), sql


async def test_an_answer_is_cut_at_its_row_limit_and_says_so(store: Store) -> None:
    for most, is_cut in ((2, True), (3, False), (4, False)):
        for sql in ("SELECT * FROM numbers(3)", "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3"):
            answer = await store.ask(sql, max_rows=most)
            assert (len(answer.rows), answer.is_cut) == (min(most, 3), is_cut)
    assert (await store.ask("DESCRIBE events", max_rows=2)).is_cut


async def test_the_row_limit_cuts_no_inner_question(store: Store) -> None:
    assert await store.value("SELECT count() FROM (SELECT * FROM numbers(100))") == 100
    assert (await store.ask("SELECT count() FROM numbers(100)", max_rows=1)).rows == [[100]]


async def test_an_endless_result_takes_no_memory_beyond_the_row_limit(store: Store) -> None:
    answer = await store.ask("SELECT repeat('x', 1000) FROM system.numbers", max_rows=10, timeout_seconds=10)
    assert (len(answer.rows), answer.is_cut) == (10, True)


async def test_a_question_that_takes_too_much_is_stopped_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BOUNDS, "max_memory_usage", 50_000_000)
    monkeypatch.setitem(BOUNDS, "max_result_bytes", 1_000_000)
    with pytest.raises(QueryError, match="more memory than one may have"):
        await store.ask("SELECT length(groupArray(number)) FROM numbers(20000000)")
    with pytest.raises(QueryError, match="larger than one may be"):
        await store.ask("SELECT repeat('x', 1000 + number) FROM numbers(2000)")


@pytest.mark.long
async def test_questions_out_of_time_are_stopped_and_inserts_go_on_meanwhile(store: Store) -> None:
    asked = [asyncio.ensure_future(store.ask(FOREVER, timeout_seconds=3)) for _ in range(AT_ONCE + 1)]
    await store.runs(AT_ONCE)
    await store.engine.insert("events", b'{"n": 2, "eid": "0190163d-8694-739b-aea5-966c26f8ad91"}\n')
    assert not any(question.done() for question in asked)
    started = time.monotonic()
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(outcome, QueryError)
        assert "no answer within 3 seconds" in str(outcome)
    assert time.monotonic() - started < 10
    await store.runs(0)
    assert await store.value("SELECT count() FROM events") == 2


async def test_a_cancelled_question_is_stopped(store: Store) -> None:
    asking = asyncio.ensure_future(store.ask(FOREVER, timeout_seconds=60))
    await store.runs(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await store.runs(0)


async def test_closing_stops_a_question(store: Store) -> None:
    asking = asyncio.ensure_future(store.ask(FOREVER, timeout_seconds=60))
    await store.runs(1)
    await store.questions.close()
    with pytest.raises(QueryError, match="stopped"):
        await asking
    await store.runs(0)
    with pytest.raises(QueryError, match="not open"):
        await store.ask("SELECT 1")


async def test_a_row_that_was_inserted_twice_counts_once(store: Store) -> None:
    await store.engine.command("SYSTEM STOP MERGES events")
    await store.engine.insert("events", b'{"ename": "kept", "params": {"a": [1]}}\n')
    assert (await store.engine.ask("SELECT count() FROM events")).rows == [[2]]
    assert await store.value("SELECT count() FROM events") == 1


async def test_a_question_that_failed_leaves_nothing_in_the_next_answer(tmp_path: Path) -> None:
    async with embedded_engine(tmp_path) as engine:
        for _ in range(3):
            with pytest.raises(Exception, match="395"):
                await engine.ask(
                    "SELECT throwIf(number = 3), 'left over' FROM numbers(9)", {"max_block_size": 1}
                )
            assert (await engine.ask("SELECT 7 AS seven")).dicts() == [{"seven": 7}]


async def test_the_next_place_is_asked_when_one_is_away(store: Store) -> None:
    away = free_port()
    both = Questions([lambda seconds: over_http(away, seconds), store.place])
    assert (await both.query("SELECT 7", max_rows=1, timeout_seconds=10)).rows == [[7]]
    neither = Questions([lambda seconds: over_http(away, seconds)])
    with pytest.raises(QueryError, match=f"cannot be reached; 127.0.0.1:{away}: .*onnect"):
        await neither.query("SELECT 7", max_rows=1, timeout_seconds=10)


async def test_a_server_that_hangs_takes_no_longer_than_the_question_may(
    servers: Callable[[str], ClickHouse],
) -> None:
    server = servers(KINDS[0])
    questions = Questions([lambda seconds: over_http(server.port, seconds)])
    server.pause()
    started = time.monotonic()
    try:
        with pytest.raises(QueryError, match=r"no answer within 0\.5 seconds"):
            await questions.query("SELECT 7", max_rows=1, timeout_seconds=0.5)
        assert time.monotonic() - started < 8
    finally:
        server.resume()


def test_a_folder_without_a_store_is_said_to_have_none_and_not_made(tmp_path: Path) -> None:
    settings = SinkSettings("clickhouse", "clickhouse", str(tmp_path / "none"), tmp_path / "handover")
    with pytest.raises(QueryError, match="no such folder; nothing has been stored"):
        to_ask(settings)
    assert not (tmp_path / "none").exists()
