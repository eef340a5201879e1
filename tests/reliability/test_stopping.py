"""SIGTERM to a real process: it ends in bounded time whatever hangs, and nothing is lost."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.reliability.campaign import until
from tests.reliability.endings import QUICK, acknowledge, delivered, eids
from tests.support.server import Server, running

TWO_SINKS = [
    {"Service": "duckdb", "Context": "data/tracker.duckdb"},
    {"Service": "duckdb", "Context": "data/second.duckdb"},
]


def stop_and_time(server: Server) -> tuple[int, float]:
    """Exit code after SIGTERM, and how many seconds that took."""
    began = time.monotonic()
    code = server.stop()
    return code, time.monotonic() - began


def hang_and_stop(folder: Path, behaviour: str, grace_seconds: float) -> float:
    """How long a stop takes while both sinks hang; afterwards everything is there once."""
    shutdown = {"GraceSeconds": grace_seconds}
    faults = {"sinks": {"*": {"behaviour": behaviour}}}
    with running(folder, faults=faults, Notify=TWO_SINKS, Batching=QUICK, Shutdown=shutdown) as server:
        owed = acknowledge(server, 20)
        until(lambda: len({line.split()[0] for line in server.misbehaved}) == 2, 30, "a sink did not hang")
        code, seconds = stop_and_time(server)
        assert code == 0
        assert bool(eids(folder / "data" / "second.duckdb")) == (behaviour == "hang-after-writing")
        server.sabotage()
        server.start_again()
        owed = sorted(owed + acknowledge(server, 1))
        delivered(server)
        assert server.stop() == 0
        assert eids(folder / "data" / "tracker.duckdb") == owed
        assert eids(folder / "data" / "second.duckdb") == owed
    return seconds


@pytest.mark.long
def test_sinks_that_hang_hold_up_no_stop_and_lose_nothing(tmp_path: Path) -> None:
    assert hang_and_stop(tmp_path, "stubborn", 1) < 5


@pytest.mark.long
@pytest.mark.parametrize("behaviour", ["hang", "stubborn", "hang-after-writing"])
def test_with_every_sink_hanging_the_end_comes_within_the_default_of_five_seconds(
    tmp_path: Path, behaviour: str
) -> None:
    seconds = hang_and_stop(tmp_path, behaviour, 5)
    print(f"{behaviour}: exit after {seconds:.2f} s")
    assert seconds <= 5


@contextmanager
def clients_that_hang(server: Server) -> Iterator[list[socket.socket]]:
    """Connections of every kind that gives no reason to end: quiet, silent, half a body, a deaf WebSocket."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(4)
        ]
        silent, quiet, half, deaf = connections
        quiet.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert quiet.recv(1000).startswith(b"HTTP/1.1 200")
        half.sendall(b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{")
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.sendall(
            b"GET /tr/v1/ws?ack=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert deaf.recv(12) == b"HTTP/1.1 101"
        fill(deaf)
        yield [silent, half]


def fill(deaf: socket.socket) -> None:
    """Send frames whose answers nobody reads, until the server reads no more of them."""
    bad = b"[" + b",".join([b"1"] * 40) + b"]"  # refused item by item, so that the answer is long
    frame = b"\x81" + bytes([0x80 | len(bad)]) + bytes(4) + bad
    deaf.settimeout(0.5)
    try:
        while True:
            deaf.sendall(frame * 100)
    except TimeoutError:
        return


@contextmanager
def commands_that_run(server: Server) -> Iterator[dict[str, str]]:
    """A question that takes long, and an upload that does not end; yields what each was told at last."""
    told: dict[str, str] = {}
    sql = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11"

    def ask() -> None:
        done = server.command("sql", "--config", str(server.config), "--timeout", "60", sql)
        told["sql"] = done.stderr

    def send() -> None:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(server.folder / "data" / "tracker.sock"))
            control.sendall(b"POST /send HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            control.sendall(b'12\r\n{"ename": "sent"}\n\r\n')
            told["send"] = control.recv(1000).decode()

    threads = [threading.Thread(target=ask), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        for thread in threads:
            thread.join(20)


@pytest.mark.long
def test_neither_clients_nor_commands_that_hang_hold_up_a_stop(tmp_path: Path) -> None:
    with running(tmp_path, Batching=QUICK, Shutdown={"GraceSeconds": 2}) as server:
        owed = acknowledge(server, 5)
        with commands_that_run(server) as told, clients_that_hang(server) as connections:
            assert server.rows_when("SELECT eid FROM events WHERE ename = 'sent'", 1)
            assert told == {}, "a command ended by itself"
            code, seconds = stop_and_time(server)
            assert code == 0
            assert seconds < 5
            assert [end_of(connection) for connection in connections] == [b"", b""]
        assert "the store closes" in told["sql"] or "broke off" in told["sql"], told
        assert "Traceback" not in server.log
        assert set(owed) <= set(eids(tmp_path / "data" / "tracker.duckdb"))


def end_of(connection: socket.socket) -> bytes:
    """What came before the server closed or cut the connection."""
    connection.settimeout(5)
    try:
        return connection.recv(1000)
    except ConnectionResetError:
        return b""
