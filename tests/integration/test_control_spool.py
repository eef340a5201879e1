"""The spool's commands on a real spool: through a running server's socket, and on the file when none runs."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.support.typed import Ending, typed
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
LINES = tuple(json.dumps({"eid": number, "lat": "x" * number}).encode() for number in range(1, 6))


def spooled(folder: Path) -> Spool:
    """Five rows for one sink: the second and the fourth were refused, the rest waits as a sealed child."""
    (folder / "config.json").write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
    spool = Spool.open(folder / "data" / "spool")
    spool.attach_sinks([SINK])
    spool.commit([Entry((Row("events", line),)) for line in LINES], time.time())
    sealed = spool.seal(SINK, "events", 100, 1_000_000, time.time())
    assert sealed is not None
    spool.reject(sealed, {1: "column lat: xx", 3: "column lat: xxxx"}, time.time())
    return spool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with such a spool, and no server."""
    spooled(tmp_path).close()
    return tmp_path


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Path]:
    """The same folder with a server's control socket on it."""
    spool = spooled(tmp_path)
    metrics = Metrics(CollectorRegistry(), "1.2.3")
    batcher = Batcher(spool, max_memory_bytes=10**7, clock=time.time, metrics=metrics)
    scrape = Scrape(metrics, ProcessSources(batcher, ()), time.time)
    services = ControlServices(
        questions=None,
        recorder=Pipeline(batcher, PipelineSettings(), metrics),
        spool=SpoolTools(spool, time.time, batcher.call, batcher.read, batcher.replay),
        status=scrape.as_json,
        metrics=metrics,
        clock=time.time,
        max_line_bytes=10**6,
        max_depth=64,
    )
    socket = ControlSocket(tmp_path / "data" / "tracker.sock", make_control(services))
    await socket.start()
    yield tmp_path
    await socket.stop()
    await batcher.close()


async def judged(folder: Path) -> dict[str, object]:
    """The events' conservation numbers, as `spool ls --json` says them."""
    told = json.loads((await typed(folder, "spool", "ls", "--json")).out)
    (table,) = [one for one in told["tables"] if one["table"] == "events"]
    return {name: table[name] for name in ("accepted", "dead", "waiting", "dropped", "difference")}


async def walk_through(folder: Path) -> None:
    """Every command once, each seeing what the one before did."""
    assert await typed(folder, "spool", "verify") == Ending(0, "the spool is sound\n", "")
    assert await judged(folder) == {"accepted": 5, "dead": 2, "waiting": 3, "dropped": {}, "difference": 0}

    listed = json.loads((await typed(folder, "dead", "ls", "--json")).out)
    assert [(one["sink"], one["table"], one["reason"]) for one in listed] == [
        (SINK, "events", "column lat: xx"),
        (SINK, "events", "column lat: xxxx"),
    ]
    shown = await typed(folder, "dead", "show", str(listed[0]["id"]))
    assert shown.out.splitlines()[-1].encode() == LINES[1]

    assert (await typed(folder, "dead", "replay", str(listed[0]["id"]))).out == "1 sent again\n"
    assert (await typed(folder, "dead", "drop", "--all", "--table", "events")).out == "1 dropped\n"
    assert await judged(folder) == {
        "accepted": 5, "dead": 0, "waiting": 4, "dropped": {"by_command": 1}, "difference": 0,
    }  # fmt: skip


async def test_the_commands_work_on_the_file_when_no_server_runs(folder: Path) -> None:
    await walk_through(folder)


async def test_the_commands_work_through_a_running_server(served: Path) -> None:
    await walk_through(served)


async def test_a_filter_that_nothing_passes_touches_nothing(folder: Path) -> None:
    assert (await typed(folder, "dead", "drop", "--all", "--reason", "other")).out == "0 dropped\n"
    assert (await typed(folder, "dead", "ls", "--sink", "other")).out.endswith("(0 rows)\n")


async def test_a_spool_of_another_process_is_refused_in_one_line(tmp_path: Path) -> None:
    spool = spooled(tmp_path)
    ending = await typed(tmp_path, "spool", "ls")
    spool.close()
    assert ending.code == 1
    assert len(ending.err.splitlines()) == 1


async def test_looking_at_a_spool_that_is_not_there_does_not_make_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
    ending = await typed(tmp_path, "spool", "ls")
    assert ending.code == 1
    assert "there is no spool" in ending.err
    assert not (tmp_path / "data").exists()


async def test_records_that_are_sent_are_counted_and_durable(served: Path) -> None:
    lines = b'{"id": "signups"}\nnot json\n{"id": "signups", "total": 2}\n'
    ending = await typed(served, "send", "--kind", "count", "-", stdin=lines)
    assert (ending.code, ending.out) == (1, "2 accepted, 1 rejected\n")
    assert ending.err.startswith("line 2: ")
    told = json.loads((await typed(served, "spool", "ls", "--json")).out)
    assert {one["table"]: one["waiting"] for one in told["tables"]} == {"events": 3, "counters": 2}
    status = json.loads((await typed(served, "status", "--json")).out)
    assert status["metrics"]["event_count"] == 2
    assert status["conservation"]["is_kept"] is True


async def test_a_server_without_a_store_that_answers_says_so(served: Path) -> None:
    ending = await typed(served, "sql", "SELECT 1")
    assert ending == Ending(1, "", "tracker: no configured store can answer questions\n")
