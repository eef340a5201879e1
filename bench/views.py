"""What every view over events costs in embedded ClickHouse: all of its rows and columns, asked at once.

Run as `python -m bench.views FOLDER ROWS` it fills a folder; with `--view NAME` it asks one view there. Each
question has a process of its own, so that the most memory it held is its own.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_schema import FOLDER, Layout, bring_up_to_date

DATABASE = "sfpla"
EVENTS = Template(Path(__file__).with_name("events.sql").read_text(encoding="utf-8"))
ROWS_PER_INSERT = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one question."""

    rows: int
    seconds: float
    mebibytes: float
    """The most memory it added to the process."""


async def _opened(folder: Path) -> EmbeddedEngine:
    engine = EmbeddedEngine(folder / "clickhouse", DATABASE, folder / "handover")
    await engine.open()
    return engine


async def _fill(folder: Path, rows: int) -> list[str]:
    """The names of all views over events."""
    engine = await _opened(folder)
    await bring_up_to_date(engine, FOLDER, Layout(durability="memory"))
    for first in range(0, rows, ROWS_PER_INSERT):
        count = min(ROWS_PER_INSERT, rows - first)
        settings = {"max_threads": 1, "max_insert_block_size": count}
        await engine.command(EVENTS.substitute(first=first, count=count, total=rows), settings)
    told = await engine.ask(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' "
        "AND name <> 'ltv' ORDER BY name"
    )
    await engine.close()
    return [str(name) for (name,) in told.rows]


async def _ask(folder: Path, view: str) -> Cost:
    engine = await _opened(folder)
    await engine.ask("SELECT count() FROM events WHERE eid = generateUUIDv4()")
    before = _resident("VmRSS")
    started = time.perf_counter()
    await engine.command(f"SELECT * FROM {view} FORMAT Null")  # noqa: S608 (our own names)
    seconds = time.perf_counter() - started
    added = _resident("VmHWM") - before
    ((rows,),) = (await engine.ask(f"SELECT count() FROM {view}")).rows  # noqa: S608 (as above)
    await engine.close()
    return Cost(int(rows), seconds, added / 1024)


def _resident(what: str) -> int:
    """KiB: `VmRSS` now, `VmHWM` at most."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))


def measure(folder: Path, rows: int) -> Iterator[tuple[str, Cost]]:
    """Every view over so many events, and `events FINAL` itself."""
    for name in ["events FINAL", *_child(folder, str(rows))]:
        yield name, Cost(**_child(folder, "--view", name))


def _child(folder: Path, *words: str) -> Any:
    command = [sys.executable, "-m", "bench.views", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Fill or ask, and print the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int, nargs="?", default=0)
    parser.add_argument("--view")
    chosen = parser.parse_args()
    if chosen.view:
        print(json.dumps(asdict(asyncio.run(_ask(chosen.folder, chosen.view)))))
    else:
        print(json.dumps(asyncio.run(_fill(chosen.folder, chosen.rows))))


if __name__ == "__main__":
    main()
