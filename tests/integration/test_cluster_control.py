"""`python -m cluster` starts, watches and stops servers by a `clickhouse` binary, here a stand-in for it.

What it does with three servers that are a cluster needs a real ClickHouse: cluster/README.md.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.processes import free_port
from cluster.asking import NoAnswer, Server
from cluster.control import server
from cluster.description import Description, Ports, read
from cluster.home import NATIVE, Home, opened
from cluster.runners import Processes
from cluster.trial import PER_REQUEST, Load, judge
from cluster.trial_parts import RealServers, tracker_for
from tests.support.clickhouse_standin import install
from tests.support.server import ROOT

ALONE = ("--runner", "native", "--machines", "1", "--shards", "1", "--replicas", "1")


def cluster(binaries: Path | None, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m cluster …` with this folder of binaries first on the PATH, or with nothing on it."""
    path = f"{binaries}:{os.environ['PATH']}" if binaries else "/nowhere"
    return subprocess.run(
        [sys.executable, "-m", "cluster", *arguments],
        cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    pytest.importorskip("chdb")
    return install(tmp_path / "bin")


@pytest.fixture
def started(tmp_path: Path, binaries: Path) -> Iterator[Path]:
    """The home of one server that was started."""
    description = tmp_path / "cluster.toml"
    text = (ROOT / "cluster" / "cluster.toml").read_text(encoding="utf-8")
    description.write_text(text.replace("http = 8123", f"http = {free_port()}"), encoding="utf-8")
    home = tmp_path / "home"
    done = cluster(binaries, "start", "--home", str(home), "--description", str(description), *ALONE)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "every table is as it must be" in done.stdout
        assert f"PASSWORD_FILE={home}/clickhouse_password make run CONFIG={home}/config.json" in done.stdout
        yield home
    finally:
        cluster(binaries, "stop", "--home", str(home))


def asked(home: Path) -> Server:
    found = opened(home)
    assert found is not None
    return server(found, "v4-tracker-1")


@pytest.mark.long
def test_a_started_server_has_the_tables_and_keeps_its_data_over_a_stop(
    binaries: Path, started: Path
) -> None:
    asked(started).ask("INSERT INTO sfpla.counters (id, total) VALUES ('a', 7)")
    assert cluster(binaries, "status", "--home", str(started)).returncode == 0
    pid = int((started / "v4-tracker-1" / "pid").read_text())
    stopped = cluster(binaries, "stop", "--home", str(started))
    assert stopped.returncode == 0, stopped.stderr
    assert not runs(pid)
    told = cluster(binaries, "status", "--home", str(started))
    assert (told.returncode, "stopped" in told.stdout) == (1, True)
    description = str(started.parent / "cluster.toml")
    again = cluster(binaries, "start", "--home", str(started), "--description", description, *ALONE)
    assert again.returncode == 0, again.stderr
    assert asked(started).ask("SELECT total FROM sfpla.counters FINAL WHERE id = 'a'") == [["7"]]
    assert cluster(binaries, "clean", "--home", str(started)).returncode == 0
    assert opened(started) is None
    assert not (started / "v4-tracker-1").exists()


@pytest.mark.long
def test_another_description_does_not_change_what_runs(binaries: Path, started: Path) -> None:
    other = cluster(binaries, "start", "--home", str(started), "--runner", "native")
    assert other.returncode == 78
    assert "another description" in other.stderr


@pytest.mark.long
def test_a_number_that_means_another_process_is_left_alone(binaries: Path, started: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid = started / "v4-tracker-1" / "pid"
        own = pid.read_text()
        pid.write_text(str(stranger.pid))
        assert cluster(binaries, "stop", "--home", str(started)).returncode == 0
        assert stranger.poll() is None
        stranger.kill()
        pid.write_text(own)


@pytest.mark.long
def test_three_servers_run_side_by_side_and_one_is_stopped_alone(
    tmp_path: Path, binaries: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    base = free_port()
    description = Description(read().machines, 1, 3, ports=Ports(http=base))
    home = Home(tmp_path / "home", description, NATIVE)
    home.write()
    servers, names = Processes(home), ["v4-tracker-1", "v4-tracker-2", "v4-tracker-3"]
    try:
        servers.start(names)
        deadline = time.monotonic() + 60
        while not all(answers(server(home, name)) for name in names) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert servers.running() == names
        servers.stop(names[:1])
        assert servers.running() == names[1:]
        assert answers(server(home, names[1]))
        servers.start(names)
        assert servers.running() == names
        servers.logs(5)
        printed = capfd.readouterr().out
        assert all(f"--- {name}" in printed for name in names)
    finally:
        servers.stop(names)
    assert servers.running() == []


@pytest.mark.long
def test_the_trial_passes_a_server_that_a_real_tracker_writes_to_and_that_is_stopped_under_load(
    binaries: Path, started: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    home = opened(started)
    assert home is not None
    servers = RealServers(home)
    with tracker_for(home) as collector:
        load = Load(collector, "trial")
        assert judge(servers, load, load_seconds=2, arrive_seconds=60) == 0
    assert len(load.acknowledged) > PER_REQUEST
    servers.stop("v4-tracker-1")
    told = capfd.readouterr().out
    for line in (f"all {PER_REQUEST} once", "stopped under load", f"all {len(load.acknowledged)} once"):
        assert line in told


def runs(pid: int) -> bool:
    """A process that has ended has no command line, also before anybody has asked about it."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def answers(one: Server) -> bool:
    try:
        return one.ask("SELECT 1") == [["1"]]
    except NoAnswer:
        return False


def test_without_docker_and_clickhouse_two_lines_say_what_is_missing(tmp_path: Path) -> None:
    told = cluster(None, "start", "--home", str(tmp_path / "home"))
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("action", ["stop", "status", "logs", "test", "clean", "console"])
def test_without_a_cluster_each_action_says_so(tmp_path: Path, action: str) -> None:
    told = cluster(None, action, "--home", str(tmp_path))
    assert told.returncode == (0 if action == "clean" else 1)
    assert "make cluster-start" in told.stderr


def test_a_server_that_ends_at_once_is_told(tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "clickhouse"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    binary.chmod(0o755)
    before = time.monotonic()
    told = cluster(binary.parent, "start", "--home", str(tmp_path / "home"), *ALONE)
    assert told.returncode == 78
    assert "v4-tracker-1" in told.stderr
    assert time.monotonic() - before < 30
    logs = cluster(binary.parent, "logs", "--home", str(tmp_path / "home"))
    assert "no room" in logs.stdout
