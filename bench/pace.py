"""What two healthy DuckDB sinks deliver beside one that hangs, refuses or rejects, against the two alone.

Run as a process of its own (`python -m bench.pace FOLDER ROWS ROUNDS`); every round measures each
neighbour in turn, draining the same rows from a spool filled for it.
"""

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from bench.drain import GROUP, HYBRID, MAX_BATCH_BYTES, made_entries
from tracker import clock
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.spool import Spool
from tracker.errors import RowsRejected, SinkUnavailable
from tracker.events import Batch, Entry
from tracker.metrics import Metrics
from tracker.sinks.base import Sink
from tracker.sinks.registry import SinkSettings, make_sink

NEIGHBOURS = ("none", "hangs", "refuses", "rejects a hundredth", "rejects everything")
REJECT_EVERY = {"rejects a hundredth": 100, "rejects everything": 1}


class Sick:
    """A sink that does one thing wrong for ever."""

    name = "sick"
    parallel = 1
    rest_seconds = 0.0

    def __init__(self, how: str) -> None:
        self._how = how

    async def open(self) -> None:
        """Nothing to open."""

    async def check(self) -> None:
        """Nothing to ask."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def write(self, batch: Batch) -> None:
        """What it does wrong; what it rejected once it takes without the rejected rows."""
        if self._how == "hangs":
            await asyncio.Event().wait()
        if self._how == "refuses":
            raise SinkUnavailable("connection refused")
        every = REJECT_EVERY[self._how]
        if batch.rows % every == 0:
            raise RowsRejected(dict.fromkeys(range(0, batch.rows, every), "rejected"))


async def _drained_in(folder: Path, entries: Sequence[Entry], neighbour: str) -> tuple[float, float]:
    """Seconds until both healthy sinks have everything, and seconds of this process's processor time."""
    well: list[Sink] = [
        make_sink(SinkSettings(name, "duckdb", str(folder / f"{name}.duckdb"), folder / name))
        for name in ("first", "second")
    ]
    sinks = well if neighbour == "none" else [Sick(neighbour), *well]
    spool = Spool.open(folder / "spool")
    spool.attach_sinks([sink.name for sink in sinks])
    for at in range(0, len(entries), GROUP):
        spool.commit(entries[at : at + GROUP], clock.now())
    metrics = Metrics(CollectorRegistry(), "bench")
    batcher = Batcher(spool, max_memory_bytes=2**26, clock=clock.now, metrics=metrics)
    deliveries = [_delivery(sink, batcher, metrics) for sink in sinks]
    for sink in well:
        await sink.open()
    started, processor = time.perf_counter(), time.process_time()
    for delivery in deliveries:
        await delivery.start()
    draining = [asyncio.ensure_future(delivery.drain(600)) for delivery in deliveries]
    if not all(await asyncio.gather(*draining[-2:])):
        raise RuntimeError("the healthy sinks were not done")
    seconds = time.perf_counter() - started, time.process_time() - processor
    for task in draining:
        task.cancel()
    await asyncio.gather(*(delivery.stop() for delivery in deliveries))
    await batcher.close()
    return seconds


def _delivery(sink: Sink, batcher: Batcher, metrics: Metrics) -> Delivery:
    return Delivery(
        sink, batcher.queue(sink.name), lambda table: HYBRID, metrics=metrics, clock=clock.now,
        random=random.random, write_timeout_seconds=2.0 if isinstance(sink, Sick) else 60.0,
        max_batch_bytes=MAX_BATCH_BYTES,
    )  # fmt: skip


Rates = dict[str, list[tuple[float, float]]]
"""Neighbour to rows that the healthy sinks delivered together in a second, and in one of processor time; a
pair for each round."""


def measure(folder: Path, rows: int, rounds: int) -> Rates:
    """Every neighbour, in a process of its own on one core."""
    folder.mkdir(parents=True)
    command = ["taskset", "-c", "0", sys.executable, "-m", "bench.pace", str(folder), str(rows), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: Rates = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure in this process and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("rounds", type=int)
    chosen = parser.parse_args()
    entries = made_entries(chosen.rows)
    seen: Rates = {name: [] for name in NEIGHBOURS}
    uvloop.run(_drained_in(chosen.folder / "warm", entries, "none"))
    for _ in range(chosen.rounds):
        for name in NEIGHBOURS:
            folder = chosen.folder / "round"
            seconds, processor = uvloop.run(_drained_in(folder, entries, name))
            shutil.rmtree(folder)
            seen[name].append((2 * chosen.rows / seconds, 2 * chosen.rows / processor))
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
