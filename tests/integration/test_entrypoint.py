"""The image's entrypoint, run as it is: the tracker alone, or a (stand-in) ClickHouse server beside it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.processes import free_port
from cluster.asking import NoAnswer
from cluster.asking import Server as ClickHouse
from tests.support.clickhouse_standin import install
from tests.support.server import ROOT, Server
from tracker.tables import CATALOGUE

SECONDS = 60


@dataclass
class Container:
    """What the entrypoint runs in: a folder laid out as the image's /app, and its environment."""

    app: Path
    environ: dict[str, str]
    port: int

    @contextmanager
    def running(self, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
        """The entrypoint, ended at the latest afterwards."""
        with (self.app / "log").open("ab") as log, subprocess.Popen(
            [self.app / "entrypoint.sh", *arguments],
            env=self.environ, stdout=log, stderr=log, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    @property
    def log(self) -> str:
        return (self.app / "log").read_text()

    @property
    def tracker(self) -> Server:
        return Server(self.app / "config.json", self.port)

    def until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + SECONDS
        while not self.tracker.is_alive():
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def pid_of(self, process: "subprocess.Popen[bytes]", words: str) -> int:
        """The child of the entrypoint whose command line has these words."""
        told = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return next(int(line.split()[0]) for line in told.splitlines() if words in line)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    app = tmp_path / "app"
    app.mkdir()
    for name in ("tracker", "schema", "cluster"):
        (app / name).symlink_to(ROOT / name)
    for name in ("entrypoint.sh", "config.json"):
        shutil.copy2(ROOT / name, app / name)
    binaries = install(tmp_path / "bin")
    port = free_port()
    environ = {
        **os.environ,
        "PATH": f"{binaries}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TRACKER_PROXYEXCEPTHTTP": f"127.0.0.1:{port}",
    }
    return Container(app, environ, port)


@pytest.fixture
def beside(container: Container, tmp_path: Path) -> Container:
    """With a ClickHouse server beside the tracker."""
    pytest.importorskip("chdb")
    container.environ |= {
        "WITH_CLICKHOUSE": "1",
        "CLICKHOUSE_HTTP_PORT": str(free_port()),
        **{f"CLICKHOUSE_{name.upper()}_DIR": str(tmp_path / name) for name in ("data", "log", "config")},
    }
    return container


def password(container: Container) -> str:
    return (Path(container.environ["CLICKHOUSE_DATA_DIR"]) / ".clickhouse_password").read_text().strip()


def names(container: Container) -> list[list[str]]:
    server = ClickHouse(int(container.environ["CLICKHOUSE_HTTP_PORT"]), password(container))
    try:
        return server.ask("SELECT ename FROM sfpla.events FINAL ORDER BY ename")
    except NoAnswer:  # the tracker accepts before its tables are there
        return []


def told(container: Container, sql: str) -> list[str]:
    """The lines that `tracker sql` prints in the container, as cluster/docker.sh asks."""
    command = [sys.executable, "-m", "tracker", "sql", "--csv", sql]
    environ = container.environ
    done = subprocess.run(command, cwd=container.app, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def until_it_has(container: Container, *expected: str) -> None:
    deadline = time.monotonic() + SECONDS
    while names(container) != [[name] for name in expected]:
        assert time.monotonic() < deadline, container.log
        time.sleep(0.1)


def test_alone_the_tracker_is_the_only_process_and_ends_cleanly(container: Container) -> None:
    with container.running() as process:
        container.until_it_answers(process)
        assert b"tracker" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert container.tracker.post("/tr/v1/tr/", {"ename": "one"})[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0, container.log
    assert (container.app / "data" / "tracker.duckdb").exists()


def test_its_arguments_are_the_trackers(container: Container) -> None:
    with container.running("--version") as process:
        assert process.wait(SECONDS) == 0
    assert container.log.startswith("tracker ")


@pytest.mark.long
def test_with_clickhouse_beside_events_are_there_after_an_orderly_stop(beside: Container) -> None:
    with beside.running() as process:
        beside.until_it_answers(process)
        assert beside.tracker.post("/tr/v1/tr/", {"ename": "one"})[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0, beside.log
    before = password(beside)
    with beside.running() as process:
        beside.until_it_answers(process)
        assert password(beside) == before
        until_it_has(beside, "one")
        assert told(beside, "SELECT ename FROM events") == ["ename", "one"]
        tables = "SELECT DISTINCT table_name FROM information_schema.tables WHERE table_catalog = 'sfpla'"
        assert CATALOGUE.keys() <= set(told(beside, tables))
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0, beside.log


@pytest.mark.long
@pytest.mark.parametrize("victim", ["clickhouse_standin.py", "tracker"])
def test_when_one_of_the_two_dies_all_ends_and_the_next_start_has_what_was_acknowledged(
    beside: Container, victim: str
) -> None:
    with beside.running() as process:
        beside.until_it_answers(process)
        assert beside.tracker.post("/tr/v1/tr/", {"ename": "kept"})[0] == 200
        os.kill(beside.pid_of(process, victim), signal.SIGKILL)
        assert process.wait(SECONDS) == 137, beside.log
    assert "ended with 137" in beside.log
    assert not beside.tracker.is_alive()
    with beside.running() as process:
        beside.until_it_answers(process)
        until_it_has(beside, "kept")
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def test_a_server_that_cannot_start_ends_it_with_the_place_of_its_log(beside: Container) -> None:
    binary = Path(beside.environ["PATH"].split(":")[0]) / "clickhouse"
    binary.write_text("#!/bin/sh\nexit 3\n")
    with beside.running() as process:
        assert process.wait(SECONDS) == 1
    assert f"see {beside.environ['CLICKHOUSE_LOG_DIR']}" in beside.log
    assert not beside.tracker.is_alive()


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"NUM_NODES": "3", "SERVER_ID": "2"}, "CLICKHOUSE_PASSWORD must be set"),
        ({"NUM_NODES": "1", "SERVER_ID": "2"}, "SERVER_ID=2"),
    ],
    ids=["no password for several nodes", "no such node"],
)
def test_an_impossible_environment_ends_it_with_78(
    beside: Container, environ: dict[str, str], said: str
) -> None:
    beside.environ |= environ
    with beside.running() as process:
        assert process.wait(SECONDS) == 78
    assert said in beside.log


@pytest.mark.long
def test_a_password_may_come_from_a_file(beside: Container, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    beside.environ["CLICKHOUSE_PASSWORD_FILE"] = str(tmp_path / "secret")
    with beside.running() as process:
        beside.until_it_answers(process)
        port = int(beside.environ["CLICKHOUSE_HTTP_PORT"])
        assert ClickHouse(port, "from a file").ask("SELECT 1") == [["1"]]
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert "from a file" not in beside.log
    for file in Path(beside.environ["CLICKHOUSE_CONFIG_DIR"]).iterdir():
        assert "from a file" not in file.read_text()
