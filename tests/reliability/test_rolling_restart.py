"""A new process in place of a running one: no connection refused, no request unanswered, nothing lost."""

import asyncio
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.reliability.campaign import until
from tests.reliability.clients import TRANSPORTS, Clients, Event
from tests.reliability.endings import QUICK, acknowledge, delivered, eids
from tests.reliability.judge import Ledger, judge
from tests.reliability.stores import duckdb_rows
from tests.support.server import ROOT, Server, running, write_config
from tracker.web.handover import Estate, Offer, Predecessor
from tracker.web.listeners import bind


@dataclass
class Newcomer:
    """A client that makes a connection for each event, one after the other, and counts what goes wrong."""

    server: Server
    ledger: Ledger
    troubles: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0
    """Between two answers."""

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        last = time.monotonic()
        with self.ledger.sent.open("a") as sent, self.ledger.acknowledged.open("a") as acknowledged:
            while not stop.is_set():
                event = Event({"eid": str(uuid.uuid4()), "ename": "load", "word": "new"})
                sent.write(event.line)
                if self._send(event):
                    acknowledged.write(event.line)
                now = time.monotonic()
                self.longest_seconds, last = max(self.longest_seconds, now - last), now

    def _send(self, event: Event) -> bool:
        try:
            status, body = self.server.post("/tr/v1/tr/", event.body)
        except OSError as error:
            self.troubles.append(repr(error))
            return False
        if status != 200:
            self.troubles.append(f"{status} {body!r}")
        return status == 200


@contextmanager
def newcomers(server: Server, notes: Path, count: int = 3) -> Iterator[list[Newcomer]]:
    """Such clients, in threads of their own."""
    clients = [Newcomer(server, Ledger.of(notes, f"newcomer-{number}")) for number in range(count)]
    stop = threading.Event()
    threads = [threading.Thread(target=client.run, args=(stop,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def take_over(server: Server) -> None:
    """Start a new process in place of the one that runs; returns when it has everything."""
    old, before = server.process, server.log.count("send events to")
    server.launch("--take-over")
    assert old.wait(30) == 0
    until(lambda: server.log.count("send events to") > before, 30, "the new process does not serve")


def roll(folder: Path, times: int) -> float:
    """Take over so many times under load, judge; the longest that any client waited for an answer."""
    notes = folder / "clients"
    notes.mkdir()
    with running(folder, Batching=QUICK) as server:
        with newcomers(server, notes) as clients, Clients(server.url, notes, 1, TRANSPORTS, batch_rows=20):
            for _ in range(times):
                time.sleep(random.uniform(0.2, 0.6))
                take_over(server)
            time.sleep(0.3)
        assert [client.troubles for client in clients] == [[]] * len(clients)
        assert server.log.count("taking over") == times
        assert "Traceback" not in server.log
        delivered(server)
        assert server.stop() == 0
        verdict = judge(notes, duckdb_rows(server))
    assert verdict.is_clean, verdict
    assert verdict.acknowledged > 100, verdict
    return max(client.longest_seconds for client in clients)


@pytest.mark.long
def test_a_take_over_under_load_refuses_no_connection_and_loses_nothing(tmp_path: Path) -> None:
    roll(tmp_path, 1)


@pytest.mark.long
def test_five_take_overs_under_load_refuse_no_connection_and_lose_nothing(tmp_path: Path) -> None:
    seconds = roll(tmp_path, 5)
    print(f"longest wait for an answer: {seconds:.2f} s")


@pytest.mark.long
def test_a_server_whose_sinks_hang_is_taken_over_and_the_new_one_accepts_before_it_has_ended(
    tmp_path: Path,
) -> None:
    with running(tmp_path, faults={"sinks": {"*": {"behaviour": "stubborn"}}}, Batching=QUICK) as server:
        owed = acknowledge(server, 10)
        until(lambda: server.misbehaved != [], 30, "no sink hangs")
        old = server.process
        server.launch("--take-over")
        until(lambda: "taking over" in server.log, 20, "it does not take over")
        owed = sorted(owed + acknowledge(server, 10))
        assert old.poll() is None, "the old one had ended, so nothing was shown"
        assert old.wait(20) == 0
        server.sabotage()
        assert server.rows_when("SELECT eid FROM events", 20)
        assert server.stop() == 0
        assert eids(tmp_path / "data" / "tracker.duckdb") == owed


@pytest.mark.long
async def test_a_socket_is_told_to_go_and_a_request_under_way_ends(tmp_path: Path) -> None:
    with running(tmp_path, Batching=QUICK) as server:
        async with aiohttp.ClientSession(server.url) as session, session.ws_connect("/tr/v1/ws?ack=1") as ws:
            await ws.send_str('{"ename": "over the socket"}')
            assert json.loads(await ws.receive_str())["accepted"] == 1

            async def slowly() -> AsyncIterator[bytes]:
                yield b'{"ename": "half '
                taking = asyncio.create_task(asyncio.to_thread(take_over, server))
                message = await ws.receive(timeout=20)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
                yield b'and half"}'
                after.append(taking)

            after: list[asyncio.Task[None]] = []
            async with session.post("/tr/v1/tr/", data=slowly()) as answer:
                assert answer.status == 200
            await after[0]
        assert server.stop() == 0
        assert len(eids(tmp_path / "data" / "tracker.duckdb")) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"Nonsense": 1}, 78, "Nonsense"),
        ({"ProxyExceptHTTP": "127.0.0.1:1"}, 1, "that cannot be taken over"),
    ],
)
def test_a_new_process_that_fails_before_it_takes_over_leaves_the_old_one_undisturbed(
    tmp_path: Path, change: dict[str, object], code: int, reason: str
) -> None:
    with running(tmp_path) as server:
        config = json.loads(server.config.read_text(encoding="utf-8"))
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**config, **change}), encoding="utf-8")
        done = server.command(str(other), "--take-over")
        assert done.returncode == code, done.stderr
        assert reason in done.stderr
        assert acknowledge(server, 1)
        assert "stopping" not in server.log
        assert server.stop() == 0


@pytest.mark.long
async def test_a_new_process_that_dies_holding_the_socket_leaves_the_old_one_undisturbed(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as server:
        new = await Predecessor.find(tmp_path / "data" / "tracker.sock")
        assert new is not None
        assert new.estate.listeners[0].getsockname()[1] == server.port
        new.close()
        for listener in new.estate.listeners:
            listener.close()
        assert acknowledge(server, 1)
        assert "stopping" not in server.log
        await asyncio.to_thread(take_over, server)
        assert acknowledge(server, 1)
        assert server.stop() == 0


@pytest.mark.long
def test_with_nothing_to_take_over_it_just_starts(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.stop() == 0
        server.launch("--take-over")
        until(server.is_alive, 20, "it does not start")
        assert server.stop() == 0


@dataclass
class SlowToGo:
    """An old process that hands over its socket and keeps the spool: the new one has to wait."""

    server: Server
    steps_down: asyncio.Event


@asynccontextmanager
async def slow_to_go(folder: Path) -> AsyncIterator[SlowToGo]:
    (listener,) = bind("127.0.0.1", 0)
    listener.listen()
    port = listener.getsockname()[1]
    server = Server(write_config(folder, port), port)
    (folder / "data" / "spool").mkdir(parents=True)
    lock = os.open(folder / "data" / "spool" / "spool.db", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    old = SlowToGo(server, asyncio.Event())
    offer = Offer(
        folder / "data" / "tracker.sock", Estate(f"127.0.0.1:{port}", 5, [listener]), old.steps_down.set
    )
    offer.start()
    try:
        yield old
    finally:
        offer.close()
        os.close(lock)
        listener.close()
        server.process.kill()
        server.process.wait()


async def test_while_it_waits_to_take_over_commands_are_told_so_and_sigterm_ends_it_well(
    tmp_path: Path,
) -> None:
    async with slow_to_go(tmp_path) as old:
        server = old.server
        server.launch("--take-over")
        await asyncio.wait_for(old.steps_down.wait(), 20)
        until((tmp_path / "data" / "tracker.sock").exists, 10, "nobody answers commands")
        done = await asyncio.to_thread(server.command, "spool", "ls", "--config", str(server.config))
        assert done.returncode == 1
        assert done.stderr == (
            "tracker: a new server is taking over from the running one: try again in a moment\n"
        )
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 4) == 0
        assert "stopping before the start was over" in server.log
        assert "Traceback" not in server.log


@contextmanager
def activated(folder: Path, config: Path, listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """The server as a service manager starts it: with a listening socket as descriptor 3."""
    script = 'exec 3<&"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
    command = ["bash", "-c", script, str(listener.fileno()), sys.executable, "-m", "tracker", str(config)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=log, stderr=log, cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ask(address: tuple[str, int]) -> socket.socket:
    """A request that was sent; the answer is not read yet."""
    client = socket.create_connection(address, timeout=20)
    client.sendall(b"GET /tr/v1/str/ename/waited HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    return client


@pytest.mark.long
def test_a_passed_socket_is_served_and_connections_wait_in_it_through_a_restart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        config = write_config(tmp_path, 1)  # where nobody may listen: the passed socket is what counts
        for _ in range(2):
            waiting = [ask(address) for _ in range(5)]
            with activated(tmp_path, config, listener) as process:
                answers = [client.recv(1000) for client in waiting]
                assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers), answers
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
            for client in waiting:
                client.close()
    assert len(eids(tmp_path / "data" / "tracker.duckdb")) == 10


def test_a_passed_descriptor_that_is_no_listening_socket_stops_the_start(tmp_path: Path) -> None:
    with socket.socket() as quiet:
        with activated(tmp_path, write_config(tmp_path, 1), quiet) as process:
            assert process.wait(20) == 78
        assert "descriptor 3 is no listening TCP socket" in (tmp_path / "server.log").read_text()
