"""The control socket as its users meet it: a real Unix socket, the real command line beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.support.typed import Ending, typed
from tracker.errors import BadHit, CannotStore, QueryError, TrackerError
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


LETTER = {"id": 7, "sink": "duckdb", "table": "events", "at": "2026-11-22 03:00:00.000Z", "bytes": 9,
          "reason": "column lat: cannot convert"}  # fmt: skip


@dataclass
class Spool:
    """A spool with one dead letter."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    is_sound: bool = True

    async def ls(self) -> Mapping[str, Any]:
        table = {"sink": "duckdb", "table": "events", "accepted": 9, "delivered": 5, "dead": 1, "waiting": 1,
                 "dropped": {"by_command": 2}}  # fmt: skip
        return {
            "tables": [table],
            "live_bytes": 2048,
            "max_bytes": 10**10,
            "wal_bytes": 0,
            "remembered_ids": 3,
        }

    async def verify(self) -> Mapping[str, Any]:
        return {"ok": self.is_sound, "problems": [] if self.is_sound else ["events: rows 1 to 2 are damaged"]}

    async def drop_sink(self, sink: str) -> int:
        if sink != "gone":
            raise TrackerError("that sink is in use")
        return 5

    async def dead_ls(self, sink: str, table: str, reason: str, limit: int) -> Mapping[str, Any]:
        self.told.append(("ls", sink, table, reason, limit))
        return {"letters": [LETTER], "is_cut": limit < 2}

    async def dead_show(self, letter: int) -> Mapping[str, Any] | None:
        return {**LETTER, "row": '{"lat":"x"}'} if letter == 7 else None

    async def dead_replay(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        self.told.append(("replay", letters, sink, table, reason))
        return 1

    async def dead_drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        self.told.append(("drop", letters, sink, table, reason))
        return 1


@dataclass(frozen=True)
class SpoolSize:
    live_bytes: int = 0
    max_bytes: int = 1
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
        self.config.write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
        self.questions, self.recorder, self.spool = Questions(), Recorder(), Spool()
        self.metrics = Metrics(CollectorRegistry(), "1.2.3")
        scrape = Scrape(self.metrics, Nothing(), lambda: 0.0)
        services = ControlServices(
            questions=self.questions, recorder=self.recorder, spool=self.spool, status=scrape.as_json,
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


async def test_the_spool_is_listed(server: Server) -> None:
    ending = await server.typed("spool", "ls")
    assert ending.out.splitlines()[2:] == [
        "duckdb | events |        9 |         5 |    1 |       1 | by_command 2",
        "(1 row)",
        "2,048 of 10,000,000,000 bytes, 3 ids remembered",
    ]


async def test_a_damaged_spool_fails_its_check(server: Server) -> None:
    assert await server.typed("spool", "verify") == Ending(0, "the spool is sound\n", "")
    server.spool.is_sound = False
    assert await server.typed("spool", "verify") == Ending(
        1, "", "tracker: events: rows 1 to 2 are damaged\n"
    )


async def test_only_the_backlog_of_a_sink_that_is_gone_can_be_dropped(server: Server) -> None:
    assert await server.typed("spool", "drop-sink", "gone") == Ending(0, "5 rows dropped\n", "")
    assert await server.typed("spool", "drop-sink", "x") == Ending(1, "", "tracker: that sink is in use\n")


async def test_dead_letters_are_listed_by_filter(server: Server) -> None:
    ending = await server.typed("dead", "ls", "--table", "events", "--reason", "lat", "--limit", "1")
    assert server.spool.told == [("ls", "", "events", "lat", 1)]
    assert "column lat: cannot convert" in ending.out
    assert ending.err == "tracker: cut at 1 dead letters; see --limit\n"


async def test_a_dead_letter_is_shown_with_its_row(server: Server) -> None:
    assert (await server.typed("dead", "show", "7")).out.endswith(
        'reason: column lat: cannot convert\n{"lat":"x"}\n'
    )
    assert json.loads((await server.typed("dead", "show", "--json", "7")).out)["row"] == '{"lat":"x"}'
    assert await server.typed("dead", "show", "8") == Ending(1, "", "tracker: there is no dead letter 8\n")


async def test_dead_letters_are_sent_again_or_dropped_by_id_or_all(server: Server) -> None:
    assert await server.typed("dead", "replay", "7") == Ending(0, "1 sent again\n", "")
    assert await server.typed("dead", "drop", "--all", "--sink", "duckdb") == Ending(0, "1 dropped\n", "")
    missing = await server.typed("dead", "drop", "7", "8")
    assert missing == Ending(1, "1 dropped\n", "tracker: 1 of these ids are no dead letters\n")
    assert server.spool.told == [
        ("replay", [7], "", "", ""),
        ("drop", None, "duckdb", "", ""),
        ("drop", [7, 8], "", "", ""),
    ]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /sql HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n{", 400),
        (b"POST /sql HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n[]", 400),
        (b"POST /sql HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST /send?kind=payment HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /dead/replay HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /dead?limit=x HTTP/1.1\r\nHost: t\r\n\r\n", 400),
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
