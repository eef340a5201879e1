"""Questions to the DuckDB store: what may be asked, what comes back, and that the writer never waits."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.batches import batch, event
from tests.unit.sinks.places import ask, count
from tracker.errors import QueryError
from tracker.sinks.duckdb import DuckDbSettings, DuckDbSink, open_read_only
from tracker.sinks.duckdb_questions import TABLE_FUNCTIONS

FOREVER = "SELECT count(*) FROM range(10_000_000) AS a, range(10_000_000) AS b WHERE a.range + b.range = -1"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ename FROM sfpla.events WHERE vid = '0190163d-8694-739b-aea5-966c26f8ad91'",
        "select count(*) from events;",
        "-- a comment\nSELECT 1 /* another */",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
        "FROM events",
        "TABLE events",
        "VALUES (1)",
        "SHOW TABLES",
        "DESCRIBE events",
        "SUMMARIZE events",
        "EXPLAIN SELECT * FROM events",
        "EXPLAIN ANALYZE SELECT * FROM events",
        "PIVOT events ON is_client IN (true, false) USING count(*)",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM duckdb_tables()",
        "SELECT unnest([1, 2])",
        "SELECT e.key FROM events, json_each(params) AS e",
        "SELECT 'read_csv(''a.csv''); DROP TABLE events'",
        "SELECT count(*) FROM events WHERE created_at > now() - INTERVAL 1 DAY",
    ],
)
async def test_questions_that_read_tables_are_answered(sink: DuckDbSink, sql: str) -> None:
    await ask(sink, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO events DEFAULT VALUES",
        "INSERT INTO events DEFAULT VALUES RETURNING *",
        "WITH a AS (INSERT INTO ledger VALUES (uuid(), '', 1, now()) RETURNING *) SELECT * FROM a",
        "UPDATE events SET ename = ''",
        "DELETE FROM events",
        "DROP TABLE events",
        "CREATE TABLE a AS SELECT 1",
        "CREATE TEMP TABLE a AS SELECT 1",
        "COPY events TO '{export}/a.csv'",
        "COPY (SELECT 1) TO 'a.csv'",
        "EXPLAIN ANALYZE DELETE FROM events",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{export}/a.csv'",
        "explain  (FORMAT json) SELECT 1",
        "EXPLAIN EXPLAIN SELECT 1",
        "EXPORT DATABASE '{export}'",
        "ATTACH '{export}/a.db'",
        "DETACH sfpla",
        "USE memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 4",
        "RESET threads",
        "PRAGMA database_list",
        "CALL duckdb_tables()",
        "CHECKPOINT",
        "BEGIN",
        "COMMIT",
        "VACUUM",
        "PREPARE a AS SELECT 1",
        "EXECUTE a",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE events",
        "",
        " ; ",
        "-- nothing",
        "SELEC 1",
        "FROM '{export}/a.csv'",
        "SELECT * FROM '{handover}/a.ndjson'",
        "SELECT * FROM read_text('{export}/a.csv')",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "WITH a AS (FROM glob('{export}/*')) FROM a",
        "SELECT * FROM (SUMMARIZE (FROM read_csv('{export}/a.csv')))",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('events')",
        "SELECT * FROM checkpoint()",
        "SELECT * FROM force_checkpoint()",
        "SELECT * FROM duckdb_secrets()",
    ],
)
async def test_everything_else_is_refused_and_changes_nothing(
    sink: DuckDbSink, settings: DuckDbSettings, sql: str
) -> None:
    await sink.write(batch([event()]))
    assert settings.export is not None
    (settings.export / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(QueryError):
        await ask(sink, sql.format(export=settings.export, handover=settings.handover))
    assert await count(sink) == 1
    assert await count(sink, "ledger") == 1
    assert names_in(settings.export) == ["a.csv"]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_no_allowed_table_function_reads_a_file_or_runs_sql() -> None:
    words = ("read", "scan", "glob", "query", "sniff", "checkpoint", "parquet", "csv", "secret", "execute")
    assert [name for name in TABLE_FUNCTIONS if any(word in name for word in words)] == []


async def test_a_refusal_says_why(sink: DuckDbSink) -> None:
    for sql, reason in {
        "DROP TABLE events": "only SELECT .* not DROP",
        "SELECT 1; SELECT 2": "one statement .* this is 2",
        "": "one statement .* this is none",
        "FROM read_csv('x')": "the table function read_csv cannot",
        "FROM 'x.csv'": "looks like a file",
        "SELECT nothing FROM events": "nothing",
        "SELECT 1 +": "syntax error",
    }.items():
        with pytest.raises(QueryError, match=reason):
            await ask(sink, sql)


async def test_values_are_what_json_can_say(sink: DuckDbSink) -> None:
    answers = {
        "uuid '0190163d-8694-739b-aea5-966c26f8ad91'": "0190163d-8694-739b-aea5-966c26f8ad91",
        "TIMESTAMP '2026-11-22 03:00:00.123456'": "2026-11-22 03:00:00.123",
        "TIMESTAMPTZ '2026-11-22 03:00:00+02'": "2026-11-22 01:00:00.000",
        "TIMESTAMP_NS '2026-11-22 03:00:00.123456789'": "2026-11-22 03:00:00.123",
        "DATE '2026-11-22'": "2026-11-22",
        "TIME '03:00:00'": "03:00:00",
        "INTERVAL 3 DAY": "3 days, 0:00:00",
        "1.50::DECIMAL(5, 2)": "1.50",
        "0::DECIMAL(38, 9)": "0.000000000",
        "'ab'::BLOB": "6162",
        "18446744073709551615::UBIGINT": 18446744073709551615,
        "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
        "'nan'::DOUBLE": "nan",
        "true": True,
        "NULL": None,
        "[1, 2]": [1, 2],
        "{'a': DATE '2026-11-22'}": {"a": "2026-11-22"},
        "MAP {'a': 1}": {"a": 1},
        """'{"a": [1, null], "n": 123456789012345678901}'::JSON""": {
            "a": [1, None],
            "n": "123456789012345678901",
        },
        "'not json'": "not json",
    }
    for sql, value in answers.items():
        assert await ask(sink, f"SELECT {sql}") == [[value]], sql


async def test_columns_keep_names_and_order_also_with_zoned_times(sink: DuckDbSink) -> None:
    sql = "SELECT now() AS n, 1 AS a, 2 AS a, [now()] AS l, x FROM range(3) AS r(x) ORDER BY x DESC"
    answer = await sink.query(sql, max_rows=2, timeout_seconds=5)
    assert answer.columns == ("n", "a", "a", "l", "x")
    assert [(row[1], row[2], row[4]) for row in answer.rows] == [(1, 2, 2), (1, 2, 1)]
    assert answer.is_cut


async def test_an_answer_is_cut_at_its_row_limit_and_says_so(sink: DuckDbSink) -> None:
    for most, is_cut in ((2, True), (3, False), (4, False)):
        answer = await sink.query("SELECT * FROM range(3)", max_rows=most, timeout_seconds=5)
        assert (len(answer.rows), answer.is_cut) == (min(most, 3), is_cut)


async def test_an_endless_result_takes_no_memory_beyond_the_row_limit(sink: DuckDbSink) -> None:
    sql = "SELECT repeat('x', 1000) FROM range(1_000_000_000)"
    answer = await sink.query(sql, max_rows=10, timeout_seconds=5)
    assert (len(answer.rows), answer.is_cut) == (10, True)


async def test_a_question_out_of_time_is_stopped_and_the_writer_goes_on_meanwhile(sink: DuckDbSink) -> None:
    asked = [asyncio.ensure_future(sink.query(FOREVER, max_rows=1, timeout_seconds=3.0)) for _ in range(3)]
    await asyncio.sleep(0.1)
    await sink.write(batch([event()]))
    assert not any(question.done() for question in asked)
    started = time.monotonic()
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(outcome, QueryError)
        assert "within 3 seconds" in str(outcome)
    assert time.monotonic() - started < 10
    assert await count(sink) == 1


async def test_a_cancelled_question_is_stopped(sink: DuckDbSink) -> None:
    for _ in range(3):  # more than there are threads
        asking = asyncio.ensure_future(sink.query(FOREVER, max_rows=1, timeout_seconds=60))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert await count(sink) == 0


async def test_closing_stops_a_question(sink: DuckDbSink) -> None:
    asking = asyncio.ensure_future(sink.query(FOREVER, max_rows=1, timeout_seconds=60))
    await asyncio.sleep(0.1)
    await sink.close()
    with pytest.raises(QueryError, match="stopped"):
        await asking
    with pytest.raises(QueryError, match="not open"):
        await count(sink)


async def test_a_question_sees_the_events_as_they_were_when_it_began(sink: DuckDbSink) -> None:
    await sink.write(batch([event()]))
    slow = (
        "SELECT (SELECT count(*) FROM events), count(*) FROM range(3_000_000) AS a "
        "WHERE md5(a.range::VARCHAR) = ''"
    )
    asking = asyncio.ensure_future(ask(sink, slow))
    while not asking.done():
        await sink.write(batch([event()]))
    ((seen, _),) = await asking
    assert 1 <= seen < await count(sink)


async def test_hungry_questions_are_stopped_when_the_writer_needs_the_memory(
    settings: DuckDbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.sinks.duckdb_writer.CHECKPOINT_BYTES", 200_000)
    monkeypatch.setattr("tracker.sinks.duckdb_writer.INSIST_BYTES", 400_000)
    sink = DuckDbSink(replace(settings, memory_mb=64))
    await sink.open()
    asking = asyncio.ensure_future(sink.query(FOREVER, max_rows=1, timeout_seconds=60))
    await asyncio.sleep(0.1)
    written = 0
    while not asking.done() and written < 100:
        await sink.write(batch([event(url=str(number) * 100) for number in range(200)]))
        written += 1
    with pytest.raises(QueryError, match="ask for less"):
        await asking
    assert 2 <= written < 100
    assert await count(sink) == written * 200
    await sink.close()


async def test_a_file_no_server_has_open_can_be_asked(sink: DuckDbSink, settings: DuckDbSettings) -> None:
    await sink.write(batch([event(ename="kept")]))
    await sink.close()
    before = settings.database.read_bytes()
    async with open_read_only(settings.database) as store:
        answer = await store.query("SELECT ename FROM sfpla.events", max_rows=5, timeout_seconds=5)
        for sql in ("DELETE FROM events", f"FROM read_text('{settings.database}')", "ATTACH 'x'"):
            with pytest.raises(QueryError):
                await store.query(sql, max_rows=5, timeout_seconds=5)
    assert answer.rows == [["kept"]]
    assert settings.database.read_bytes() == before


async def test_a_missing_file_is_said_to_be_missing_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no such file; nothing has been stored"):
        async with open_read_only(tmp_path / "none.duckdb"):
            pass
    assert names_in(tmp_path) == []


async def test_a_file_that_is_in_use_or_no_database_is_said_to_be_so(
    tmp_path: Path, sink: DuckDbSink, settings: DuckDbSettings
) -> None:
    (tmp_path / "text.duckdb").write_bytes(b"text" * 5000)
    for file in (settings.database, tmp_path / "text.duckdb"):
        with pytest.raises(QueryError, match="cannot be opened"):
            async with open_read_only(file):
                pass
