"""Draining a filled spool into DuckDB, against DuckDB's own reader inserting the same rows from one file.

Run as a process of its own (`python -m bench.drain FOLDER ROWS`) on one core, as the server would be.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import duckdb
import uvloop
from prometheus_client import CollectorRegistry

from bench.payloads import event
from tracker import clock
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.spool import Spool
from tracker.batching.strategies import BatchSettings
from tracker.events import Entry, Envelope, Hit
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.sinks.registry import SinkSettings, make_sink

SINK = "duckdb"
GROUP = 100
MAX_BATCH_BYTES = 8 * 2**20  # what the shipped configuration's memory budget allows
HYBRID = BatchSettings("hybrid", 100_000, 10.0, 100.0, 60.0, 1.0, 2)


@dataclass(frozen=True, slots=True)
class Drained:
    """Rows a second, both ways."""

    drained: float
    direct: float


class _Collected:
    """A spooler that keeps nothing; the benchmark fills the spool itself."""

    async def add(self, entries: object) -> int:
        """Forget them."""
        return 0


def made_entries(rows: int) -> list[Entry]:
    """What so many server events become."""
    return list(each_entry(rows))


def each_entry(rows: int) -> Iterator[Entry]:
    """The same one after another, for as many as memory would not hold."""
    pipeline = Pipeline(_Collected(), PipelineSettings(), Metrics(CollectorRegistry(), "bench"))
    envelope = Envelope(
        route="str", is_client=False, host="example.com", ip="", user_agent="bench", language="de-DE",
        ja4h="", uri="/tr/v1/str/", base={},
    )  # fmt: skip
    for number in range(rows):
        yield pipeline.prepare(Hit(envelope, event(number), clock.now())).entry


async def drained_seconds(folder: Path, entries: Iterable[Entry], settings: SinkSettings) -> float:
    """Fill a spool in the folder, and deliver all of it to this sink; how long the delivery took."""
    metrics = Metrics(CollectorRegistry(), "bench")
    spool = Spool.open(folder / "spool")
    spool.attach_sinks([settings.name])
    left = iter(entries)
    while group := list(islice(left, GROUP)):
        spool.commit(group, clock.now())
    batcher = Batcher(spool, max_memory_bytes=2**26, clock=clock.now, metrics=metrics)
    sink = make_sink(settings)
    await sink.open()
    delivery = Delivery(
        sink, batcher.queue(settings.name), lambda table: HYBRID, metrics=metrics, clock=clock.now,
        random=random.random, write_timeout_seconds=60, max_batch_bytes=MAX_BATCH_BYTES,
    )  # fmt: skip
    started = time.perf_counter()
    await delivery.start()
    if not await delivery.drain(600):
        raise RuntimeError("the spool was not drained")
    seconds = time.perf_counter() - started
    await delivery.stop()
    await batcher.close()
    return seconds


def write_lines(source: Path, entries: Iterable[Entry]) -> None:
    """The events' rows as one file of lines."""
    with source.open("wb") as file:
        file.writelines(row.line + b"\n" for entry in entries for row in entry.rows if row.table == "events")


def _settings(folder: Path, database: str) -> SinkSettings:
    return SinkSettings(SINK, "duckdb", str(folder / database), folder / "handover")


async def _empty_database(folder: Path) -> None:
    sink = make_sink(_settings(folder, "direct.duckdb"))
    await sink.open()
    await sink.close()


def _insert_directly(folder: Path, source: Path) -> float:
    """The table's own columns as text types, read and inserted by one statement, synced like ours."""
    connection = duckdb.connect(str(folder / "direct.duckdb"), config={"threads": 1, "memory_limit": "96MB"})
    described = connection.execute("DESCRIBE events").fetchall()
    columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind, *_ in described) + "}"
    defaults = ", ".join(f"coalesce({name}, {default or 'NULL'})" for name, _, _, _, default, *_ in described)
    statement = (
        f"INSERT INTO events SELECT {defaults} "  # noqa: S608 (names from the schema)
        f"FROM read_json('{source}', format='newline_delimited', columns={columns})"
    )
    started = time.perf_counter()
    connection.execute(statement)
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def measure(folder: Path, rows: int) -> Drained:
    """Both ways, one after the other, in a process of one core."""
    folder.mkdir(parents=True)
    command = ["taskset", "-c", "0", sys.executable, "-m", "bench.drain", str(folder), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Drained(**json.loads(done.stdout))


def main() -> None:
    """Measure in this process and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    chosen = parser.parse_args()
    entries = made_entries(chosen.rows)
    source = chosen.folder / "rows.ndjson"
    write_lines(source, entries)
    asyncio.run(_empty_database(chosen.folder))
    direct = _insert_directly(chosen.folder, source)
    drained = uvloop.run(drained_seconds(chosen.folder, entries, _settings(chosen.folder, "drained.duckdb")))
    print(json.dumps(asdict(Drained(chosen.rows / drained, chosen.rows / direct))))


if __name__ == "__main__":
    main()
