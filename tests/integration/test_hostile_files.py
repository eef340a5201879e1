"""More connections than files may be open: the server keeps files for itself, and rests when none is left."""

import contextlib
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.support.few_files import FILES
from tests.support.hostile import (
    connected,
    count,
    ended,
    honest_beside,
    open_files_of,
    processor_seconds,
    stored,
    until,
)
from tests.support.server import ROOT, Server, write_config

pytestmark = pytest.mark.long

LEFT_FOR_CONNECTIONS = FILES // 2
RESTS_SECONDS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    one = Server(write_config(tmp_path, port, TrustedProxies=[]), port, {}, "tests.support.few_files")
    one.sabotage()
    one.start()
    yield one
    one.kill()


async def test_a_flood_of_connections_leaves_files_for_the_stores(server: Server) -> None:
    async with honest_beside(server, least=50) as honest, connected(server, 3 * FILES):
        await until(lambda: count(server, "tracker_open_connections") >= LEFT_FOR_CONNECTIONS)
        assert ended(server, "full") + ended(server, "idle") >= FILES
        assert open_files_of(server.process.pid) < FILES - 20
        assert stored(server, honest.acknowledged)
    assert "no file is free" not in server.log
    assert server.process.poll() is None
    assert stored(server, honest.acknowledged)


def test_without_a_free_file_it_says_so_rests_and_serves_again(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb+"))
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.few_files", "front"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        port = int(process.stdout.readline())
        crowd = stack.enter_context(contextlib.ExitStack())
        most = open_files_of(process.pid) + 20
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, FILES))
        deadline = time.monotonic() + 30
        while b"no file is free" not in (tmp_path / "log").read_bytes():
            assert time.monotonic() < deadline
            for _ in range(20):
                crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
            time.sleep(0.1)
        used = processor_seconds(process.pid)
        time.sleep(RESTS_SECONDS)
        assert processor_seconds(process.pid) - used < RESTS_SECONDS / 2
        crowd.close()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        time.sleep(0.5)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            client.settimeout(10)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert (tmp_path / "log").read_bytes().count(b"no file is free") < RESTS_SECONDS + 2
