"""The control socket as its users meet it: a real Unix socket, the real command line beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.support.spools import open_spool
from tests.support.typed import Ending, typed
from tracker.batching.tools import SpoolTools
from tracker.errors import BadHit, CannotStore, QueryError
from tracker.events import Entry, Identity, Row
from tracker.metrics import Metrics
from tracker.pipeline import Prepared
from tracker.scrape import Scrape
from tracker.sinks.base import Answer
from tracker.web.control import make_control
from tracker.web.control_services import ControlServices
from tracker.web.control_socket import ControlSocket


class Questions:
    """Answers a few questions as a store would."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, float]] = []

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        self.asked.append((sql, max_rows, timeout_seconds))
        if sql == "DROP":
            raise QueryError("only SELECT is answered")
        if sql == "BUG":
            raise RuntimeError("a bug with a secret in it")
        rows = [("view", 2**70, {"a": [1]}), ("buy", None, {})]
        return Answer(("ename", "n", "params"), rows[:max_rows], is_cut=max_rows < 2)


class Recorder:
    """Keeps records in memory; full after `capacity` of them."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.is_storing = asyncio.Event()
        self.kinds: set[str] = set()
        self.capacity = 10**9

    def prepare_record(self, kind: str, values: Mapping[str, Any], now: float) -> Prepared:
        if "bad" in values:
            raise BadHit("this one is bad")
        self.kinds.add(kind)
        row = Row(kind, json.dumps(values).encode())
        return Prepared(Identity("", "", "", False), Entry((row,)), ())

    async def store(self, prepared: Sequence[Prepared], route: str) -> None:
        if len(self.kept) + len(prepared) > self.capacity:
            raise CannotStore("the spool is full")
        self.kept += prepared
        self.is_storing.set()


@dataclass(frozen=True)
class SpoolSize:
    live_bytes: int = 0
    max_bytes: int = 1
    dead_bytes: int = 0
    dead_max_bytes: int = 1
    damaged_files: int = 0
    wal_bytes: int = 0
    remembered_ids: int = 0


class Nothing:
    """A server without sinks."""

    async def totals(self) -> Sequence[Any]:
        return ()

    def deliveries(self) -> Sequence[Any]:
        return ()

    def spool_state(self) -> SpoolSize:
        return SpoolSize()

    def memory_bytes(self) -> int:
        return 0


class Server:
    """A control socket in a folder with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.json"
        notify = [
            {"Service": "duckdb", "Name": "duckdb:data/tracker.duckdb"},
            {"Service": "clickhouse", "Name": "other"},
        ]
        self.config.write_text(json.dumps({"Notify": notify}), encoding="utf-8")
        self.questions, self.others, self.recorder = Questions(), Questions(), Recorder()
        self.stores = {"duckdb:data/tracker.duckdb": self.questions, "other": self.others}
        self.spool = open_spool(folder / "spool")
        self.metrics = Metrics(CollectorRegistry(), "1.2.3")
        scrape = Scrape(self.metrics, Nothing(), lambda: 0.0)
        services = ControlServices(
            questions=self.stores, recorder=self.recorder, status=scrape.as_json,
            spool=SpoolTools(self.spool, lambda: 0.0),
            metrics=self.metrics, clock=lambda: 0.0, max_line_bytes=1000, max_depth=10, patience_seconds=0.0,
        )  # fmt: skip
        self.socket = ControlSocket(folder / "data" / "tracker.sock", make_control(services))

    async def typed(self, *arguments: str, stdin: bytes = b"") -> Ending:
        return await typed(self.config.parent, *arguments, stdin=stdin)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    await made.socket.start()
    yield made
    await made.socket.stop()
    made.spool.close()


async def test_a_question_is_answered_as_a_table(server: Server) -> None:
    ending = await server.typed("sql", "--timeout", "5", "SELECT 1")
    assert ending == Ending(
        0,
        "ename | n                      | params\n"
        "------+------------------------+-----------\n"
        'view  | 1180591620717411303424 | {"a": [1]}\n'
        "buy   |                   NULL | {}\n"
        "(2 rows)\n",
        "",
    )
    assert server.questions.asked == [("SELECT 1", 10_000, 5.0)]


async def test_a_question_is_answered_as_json_and_says_when_it_was_cut(server: Server) -> None:
    ending = await server.typed("sql", "--json", "--max-rows", "1", "SELECT 1")
    assert json.loads(ending.out) == [{"ename": "view", "n": 2**70, "params": {"a": [1]}}]
    assert (ending.code, ending.err) == (0, "tracker: cut at 1 rows; see --max-rows\n")


async def test_a_question_is_answered_as_csv(server: Server) -> None:
    ending = await server.typed("sql", "--csv", "-", stdin=b"SELECT 1")
    assert ending.out.splitlines() == [
        "ename,n,params",
        'view,1180591620717411303424,"{""a"": [1]}"',
        "buy,,{}",
    ]


async def test_the_store_that_is_named_is_asked(server: Server) -> None:
    for name in ("other", "clickhouse"):
        assert (await server.typed("sql", "--store", name, "SELECT 1")).code == 0
    assert (len(server.questions.asked), len(server.others.asked)) == (0, 2)


async def test_an_unknown_store_is_told_which_there_are(server: Server) -> None:
    there = "there are: duckdb:data/tracker.duckdb, other"
    ending = await server.typed("sql", "--store", "nats", "SELECT 1")
    assert (ending.code, ending.out) == (78, "")
    assert ending.err == f"tracker: no store is called nats; {there}\n"
    del server.stores["other"]  # a server that runs with another configuration
    ending = await server.typed("sql", "--store", "other", "SELECT 1")
    assert ending.err == "tracker: no store is called other; there are: duckdb:data/tracker.duckdb\n"


async def test_a_refused_question_is_one_line(server: Server) -> None:
    assert await server.typed("sql", "DROP") == Ending(1, "", "tracker: only SELECT is answered\n")


async def test_a_bug_of_the_server_reaches_its_log_and_not_the_caller(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    ending = await server.typed("sql", "BUG")
    assert ending == Ending(1, "", "tracker: the server failed; its log says more\n")
    assert "a bug with a secret in it" in caplog.text


async def test_every_line_that_is_sent_is_stored(server: Server, tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(b'{"ename": "x"}\n' * 50_000)
    ending = await server.typed("send", str(tmp_path / "events.ndjson"))
    assert ending == Ending(0, "50000 accepted, 0 rejected\n", "")
    assert len(server.recorder.kept) == 50_000
    counted = server.metrics.registry.get_sample_value("tracker_events_received_total", {"route": "send"})
    assert counted == 50_000


async def test_lines_that_are_refused_are_named_and_the_others_stored(server: Server) -> None:
    ending = await server.typed("send", "--kind", "log", "-", stdin=b'{"n": 1}\nno\n{"bad": 1}\n{"n": 2}')
    assert (ending.code, ending.out) == (1, "2 accepted, 2 rejected\n")
    first, second = ending.err.splitlines()
    assert first.startswith("line 2: ")
    assert second == "line 3: this one is bad"
    assert server.recorder.kinds == {"log"}


async def test_a_spool_that_stays_full_says_where_to_go_on(server: Server, tmp_path: Path) -> None:
    server.recorder.capacity = 20_000
    (tmp_path / "events.ndjson").write_bytes(b'{"ename": "x"}\n' * 500_000)
    ending = await server.typed("send", str(tmp_path / "events.ndjson"))
    stored = len(server.recorder.kept)
    assert ending.code == 1
    assert ending.out == f"{stored} accepted, 0 rejected\n"
    assert ending.err == f"tracker: the spool is full; send the lines after {stored} again later\n"


async def test_a_caller_that_goes_away_leaves_what_it_sent_and_no_traceback(
    server: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    _, writer = await asyncio.open_unix_connection(str(tmp_path / "data" / "tracker.sock"))
    writer.write(b"POST /send HTTP/1.1\r\nHost: tracker\r\nContent-Length: 999\r\n\r\n" + b'{"n": 1}\n{"n"')
    await writer.drain()
    async with asyncio.timeout(5):
        await server.recorder.is_storing.wait()
    writer.close()
    await server.socket.stop()
    assert len(server.recorder.kept) == 1
    assert "Traceback" not in caplog.text


async def test_what_cannot_be_read_is_one_line(server: Server, tmp_path: Path) -> None:
    assert (
        await server.typed("send", "nowhere")
    ).err == "tracker: cannot read nowhere: No such file or directory\n"
    assert (
        await server.typed("send", str(tmp_path))
    ).err == f"tracker: cannot read {tmp_path}: it is a folder\n"


async def test_status_names_the_stores_health(server: Server) -> None:
    ending = await server.typed("status")
    assert ending.code == 0
    assert "stores disconnected" in ending.out
    assert json.loads((await server.typed("status", "--json")).out)["batching"]["enabled"] is True


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /sql HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n{", 400),
        (b"POST /sql HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n[]", 400),
        (b"POST /sql HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST /send?kind=payment HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /dead/replay HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /dead?limit=x HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /dead?limit=0 HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /dead/8 HTTP/1.1\r\nHost: t\r\n\r\n", 404),
        (b'POST /dead/drop HTTP/1.1\r\nHost: t\r\nContent-Length: 17\r\n\r\n{"letters": [-1]}', 400),
        (b"POST /dead/release HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n", 404),
        (b"DELETE /sql HTTP/1.1\r\nHost: t\r\n\r\n", 405),
    ],
)
async def test_a_command_that_makes_no_sense_is_refused_with_a_reason(
    server: Server, tmp_path: Path, request_: bytes, status: int
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "data" / "tracker.sock"))
    writer.write(request_.replace(b"Host: t\r\n", b"Host: t\r\nConnection: close\r\n"))
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]
