"""The engine in this process: its one folder, its one thread, and how statements and it are ended."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.batches import batch, event
from tests.support.clickhouse import clickhouse_settings, embedded_engine, made_before, rows_of
from tracker.errors import SinkUnavailable
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_engine import Complaint, Unreachable
from tracker.sinks.registry import make_sink

LONG = "SELECT sum(sleepEachRow(0.1)) FROM numbers(600) SETTINGS max_block_size = 1"
HOLD = """
import sys, time, clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""
WITHOUT_CHDB = """
import sys
sys.modules["chdb"] = None
import asyncio
from pathlib import Path
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
asyncio.run(EmbeddedEngine(Path(sys.argv[1]), "d", Path(sys.argv[1])).open())
"""


async def test_a_folder_that_another_process_has_is_unavailable_until_that_one_ends(tmp_path: Path) -> None:
    sink = make_sink(made_before(tmp_path))
    command = [sys.executable, "-c", HOLD, str(tmp_path / "clickhouse")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:  # noqa: ASYNC220 (nothing else runs)
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(SinkUnavailable, match="another process has it"):
            await sink.open()
        other.kill()
    await sink.open()
    await sink.write(batch([event()]))
    await sink.close()


async def test_a_damaged_folder_is_unavailable_and_the_process_goes_on(tmp_path: Path) -> None:
    sink = make_sink(made_before(tmp_path))
    (tmp_path / "clickhouse" / "metadata" / "sfpla.sql").write_text("ATTACH nothing at all")
    with pytest.raises(SinkUnavailable, match="cannot be opened"):
        await sink.open()
    await sink.close()


def test_without_chdb_the_message_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CHDB, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "ConfigError" in done.stderr
    assert 'pip install "tracker[embedded-clickhouse]"' in done.stderr


async def test_a_cancelled_statement_is_stopped_and_the_next_one_is_not(tmp_path: Path) -> None:
    async with embedded_engine(tmp_path) as engine:
        asking = asyncio.create_task(engine.ask(LONG))
        await asyncio.sleep(0.5)
        assert await running(tmp_path) == 1
        asking.cancel()
        started = time.monotonic()
        assert await rows_of(engine, "SELECT 1 AS n") == [{"n": 1}]
        assert time.monotonic() - started < 20


async def test_a_statement_cancelled_before_its_turn_never_runs(tmp_path: Path) -> None:
    async with embedded_engine(tmp_path) as engine:
        first = asyncio.create_task(engine.ask("SELECT sleep(1)"))
        second = asyncio.create_task(engine.command("CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a"))
        await asyncio.sleep(0.2)
        second.cancel()
        await first
        assert await rows_of(engine, "EXISTS TABLE t") == [{"result": 0}]


async def test_closing_stops_a_long_statement_in_bounded_time_and_lets_go_of_the_folder(
    tmp_path: Path,
) -> None:
    async with embedded_engine(tmp_path / "one") as engine:
        asking = asyncio.create_task(engine.ask(LONG))
        await asyncio.sleep(0.5)
        started = time.monotonic()
        await engine.close()
        assert time.monotonic() - started < 20
        with pytest.raises(Complaint) as caught:
            await asking
        assert caught.value.code == 394
    async with embedded_engine(tmp_path / "two") as other:
        assert await rows_of(other, "SELECT 1 AS n") == [{"n": 1}]


async def test_an_opening_that_was_cancelled_lets_go_of_the_folder(tmp_path: Path) -> None:
    clickhouse_settings(tmp_path)
    engine = EmbeddedEngine(tmp_path / "one", "sfpla", tmp_path / "handover")
    opening = asyncio.create_task(engine.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await until_another_folder_opens(tmp_path / "two")


async def test_what_is_not_open_did_not_begin(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path, "sfpla", tmp_path / "handover")
    with pytest.raises(Unreachable) as caught:
        await engine.ask("SELECT 1")
    assert not caught.value.is_unknown


async def test_nothing_stays_in_the_hand_over_folder(tmp_path: Path) -> None:
    settings = made_before(tmp_path)
    settings.handover.mkdir()
    (settings.handover / "left-by-a-kill.ndjson").write_bytes(b"{}")
    sink = make_sink(settings)
    await sink.open()
    await sink.write(batch([event()]))
    assert list(settings.handover.iterdir()) == []
    await sink.close()


async def running(folder: Path) -> int:
    """How many of the long statements run."""
    async with embedded_engine(folder) as engine:
        question = "SELECT count() AS n FROM system.processes WHERE query LIKE '%sleepEachRow%(600)%'"
        ((number,),) = (await engine.ask(f"{question} AND query NOT LIKE '%system.processes%'")).rows
        return int(number)


async def until_another_folder_opens(folder: Path) -> None:
    for _ in range(200):
        try:
            async with embedded_engine(folder):
                return
        except Unreachable:
            await asyncio.sleep(0.1)
    raise AssertionError("the folder stayed open")
