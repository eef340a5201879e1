"""A configured folder whose spool has dead letters, with a control socket on it or without."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from tests.support.batches import event, line
from tests.support.typed import typed
from tracker.batching.batcher import Batcher
from tracker.batching.spool import Spool
from tracker.batching.tools import SpoolTools
from tracker.events import Entry, Row
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.scrape import ProcessSources, Scrape
from tracker.web.control import make_control
from tracker.web.control_services import ControlServices
from tracker.web.control_socket import ControlSocket

SINK = "duckdb:data/tracker.duckdb"
CONFIG = '{"Notify": [{"Service": "duckdb"}]}'


def spool_of(folder: Path) -> Path:
    """Where the spool of a folder with the configuration lies."""
    return folder / "data" / "spool"


def put_aside(spool: Spool, lines: Sequence[bytes], reason: str, sink: str = SINK) -> None:
    """Rows that are accepted, sealed and rejected, all of them."""
    spool.commit([Entry((Row("events", row),)) for row in lines], time.time())
    while sealed := spool.seal(sink, "events", 100_000, 10**9, time.time()):
        spool.reject(sealed, dict.fromkeys(range(sealed.rows), reason), time.time())


def misfits(count: int, **columns: Any) -> list[bytes]:
    """Events whose lat is no number, each with its place in the list as `duration`."""
    return [line(event(lat=f"x{at}", duration=at, **columns)) for at in range(count)]


def prepared(folder: Path) -> Spool:
    """A configured folder and its spool, for one sink."""
    (folder / "config.json").write_text(CONFIG, encoding="utf-8")
    spool = Spool.open(spool_of(folder), durability="process-crash")
    spool.attach_sinks([SINK])
    return spool


@asynccontextmanager
async def served(folder: Path, spool: Spool) -> AsyncIterator[Path]:
    """A server's control socket on the folder, without sinks that could take anything."""
    metrics = Metrics(CollectorRegistry(), "1.2.3")
    batcher = Batcher(spool, max_memory_bytes=10**7, clock=time.time, metrics=metrics)
    scrape = Scrape(metrics, ProcessSources(batcher, ()), time.time)
    services = ControlServices(
        questions={},
        recorder=Pipeline(batcher, PipelineSettings(), metrics),
        spool=SpoolTools(spool, time.time, batcher.call, batcher.read, batcher.replay),
        status=scrape.as_json,
        metrics=metrics,
        clock=time.time,
        max_line_bytes=10**6,
        max_depth=64,
    )
    socket = ControlSocket(folder / "data" / "tracker.sock", make_control(services))
    await socket.start()
    try:
        yield folder
    finally:
        await socket.stop()
        await batcher.close()


@asynccontextmanager
async def usable(folder: Path, spool: Spool, *, is_running: bool) -> AsyncIterator[Path]:
    """The folder for commands: with a running server, or closed for the commands to open it."""
    if is_running:
        async with served(folder, spool):
            yield folder
    else:
        spool.close()
        yield folder


async def totals(folder: Path) -> dict[str, Any]:
    """The events' conservation numbers, as `spool ls --json` says them."""
    told = json.loads((await typed(folder, "spool", "ls", "--json")).out)
    (table,) = [one for one in told["tables"] if one["table"] == "events"]
    return {name: table[name] for name in ("accepted", "dead", "waiting", "dropped", "difference")}


async def listed(folder: Path, *filters: str) -> Mapping[str, Any]:
    """What `dead ls --json` says."""
    told: Mapping[str, Any] = json.loads((await typed(folder, "dead", "ls", "--json", *filters)).out)
    return told
