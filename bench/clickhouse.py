"""Embedded ClickHouse: draining a filled spool against a direct insert of the same rows; inserts and parts.

Run as a process of its own (`python -m bench.clickhouse FOLDER ROWS SECONDS`) on one core, as the server
would be. The direct insert is one statement over one file, into the same table with the same durability.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from bench.drain import MAX_BATCH_BYTES, drained_seconds, each_entry, made_entries, write_lines
from tracker import clock
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.spool import Spool
from tracker.batching.strategies import BatchSettings
from tracker.events import Entry
from tracker.metrics import Metrics
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_writer import READING
from tracker.sinks.registry import SinkSettings, make_sink

NAME, DATABASE = "clickhouse", "sfpla"
AT_ONCE = BatchSettings(strategy="immediate")
"""Every commit makes rows due: the most inserts that a table can ask for."""
REQUESTS_A_SECOND = 100
ROWS_A_REQUEST = 5
STEADY_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows a second both ways, and what the table was left with."""

    drained: float
    direct: float
    parts_made: int
    """By draining, over all inserts."""
    parts_left: int
    inserts_a_second: float
    """Into the events, under a steady load of many small requests."""


def _settings(folder: Path, place: str) -> SinkSettings:
    return SinkSettings(NAME, "clickhouse", str(folder / place), folder / "handover")


async def _asked(folder: Path, place: str, sql: str) -> list[list[int]]:
    engine = EmbeddedEngine(folder / place, DATABASE, folder / "handover")
    await engine.open()
    told = await engine.ask(sql)
    await engine.close()
    return [list(row) for row in told.rows]


async def _parts(folder: Path, place: str) -> tuple[int, int]:
    """Of the events: inserts that made one, over all months, and those that are left."""
    sql = (
        "SELECT sum(most), sum(parts) FROM (SELECT max(max_block_number) AS most, count() AS parts"
        " FROM system.parts WHERE database = 'sfpla' AND table = 'events' AND active GROUP BY partition)"
    )
    ((made, left),) = await _asked(folder, place, sql)
    return made, left


async def _direct_seconds(folder: Path, source: Path) -> float:
    sink = make_sink(_settings(folder, "direct"))
    await sink.open()
    await sink.close()
    engine = EmbeddedEngine(folder / "direct", DATABASE, folder / "handover")
    await engine.open()
    settings = ", ".join(f"{name} = '{value}'" for name, value in READING.items())
    statement = f"INSERT INTO events FROM INFILE '{source}' SETTINGS {settings} FORMAT JSONEachRow"
    started = time.perf_counter()
    await engine.command(statement)
    seconds = time.perf_counter() - started
    await engine.close()
    return seconds


async def _steady(folder: Path, entries: list[Entry], seconds: float) -> float:
    """Inserts a second into the events while requests arrive all the time."""
    metrics = Metrics(CollectorRegistry(), "bench")
    spool = Spool.open(folder / "steady-spool")
    spool.attach_sinks([NAME])
    batcher = Batcher(spool, max_memory_bytes=2**26, clock=clock.now, metrics=metrics)
    sink = make_sink(_settings(folder, "steady"))
    await sink.open()
    delivery = Delivery(
        sink, batcher.queue(NAME), lambda table: AT_ONCE, metrics=metrics, clock=clock.now,
        random=random.random, write_timeout_seconds=60, max_batch_bytes=MAX_BATCH_BYTES,
    )  # fmt: skip
    batcher.on_arrival(delivery.notice)
    await delivery.start()
    started = time.monotonic()
    for number in range(int(seconds * REQUESTS_A_SECOND)):
        at = number * ROWS_A_REQUEST % (len(entries) - ROWS_A_REQUEST)
        await batcher.add(entries[at : at + ROWS_A_REQUEST])
        await asyncio.sleep(max(0.0, started + number / REQUESTS_A_SECOND - time.monotonic()))
    lasted = time.monotonic() - started
    await delivery.drain(60)
    await delivery.stop()
    await batcher.close()
    return (await _parts(folder, "steady"))[0] / lasted


async def _measured(folder: Path, rows: int, seconds: float) -> Measured:
    source = folder / "rows.ndjson"
    write_lines(source, each_entry(rows))
    direct = await _direct_seconds(folder, source)
    drained = await drained_seconds(folder, each_entry(rows), _settings(folder, "drained"))
    made, left = await _parts(folder, "drained")
    ((there,),) = await _asked(folder, "drained", "SELECT count() FROM events")
    if there != rows:
        raise RuntimeError(f"{there} of {rows} rows were drained")
    inserts = await _steady(folder, made_entries(STEADY_ROWS), seconds)
    return Measured(rows / drained, rows / direct, made, left, inserts)


def measure(folder: Path, rows: int, seconds: float) -> Measured:
    """All of it, in a process of one core."""
    folder.mkdir(parents=True)
    arguments = [str(folder), str(rows), str(seconds)]
    command = ["taskset", "-c", "0", sys.executable, "-m", "bench.clickhouse", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout))


def main() -> None:
    """Measure in this process and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("seconds", type=float)
    typed = parser.parse_args()
    print(json.dumps(asdict(uvloop.run(_measured(typed.folder.absolute(), typed.rows, typed.seconds)))))


if __name__ == "__main__":
    main()
