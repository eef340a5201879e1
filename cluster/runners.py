"""Starting and stopping servers: as containers by Compose, or as processes by a `clickhouse` binary."""

# ruff: noqa: S603 (starting these programs is the job; no shell reads their arguments)

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from cluster.description import Unusable
from cluster.home import COMPOSE, NATIVE, Home
from cluster.server_config import USER

STOP_SECONDS = 60
LOG = "clickhouse-server.log"
CLIENT = ["clickhouse", "client", "--user", USER, "--database", "sfpla"]
"""Reads its password from the environment."""
_DOCKER, _BINARY = "Docker (running, with Compose)", "a `clickhouse` binary on the PATH"


class Runner(Protocol):
    """The servers of one cluster."""

    def start(self, names: list[str]) -> None:
        """Start these; those that run stay as they are. Raises Unusable."""

    def stop(self, names: list[str]) -> None:
        """Stop these, orderly, and wait for their end. Their data stays. Raises Unusable."""

    def running(self) -> list[str]:
        """Those that run."""

    def logs(self, lines: int) -> None:
        """Print the last lines of each."""

    def console(self, name: str) -> int:
        """ClickHouse's own client on that one, for a person; its exit code."""

    def wipe(self) -> None:
        """Remove what they stored."""


def available(wanted: str | None) -> str | None:
    """What this machine can run servers with, or whether it has what is wanted; None when it has nothing."""
    if wanted != NATIVE and compose_command() is not None:
        return COMPOSE
    return NATIVE if wanted != COMPOSE and shutil.which("clickhouse") else None


def missing(wanted: str | None) -> str:
    """What to say when there is nothing to run servers with: two lines."""
    only = {COMPOSE: f"No {_DOCKER}", NATIVE: f"No {_BINARY.removeprefix('a ')}"}
    found = only[wanted] if wanted else f"Neither {_DOCKER} nor {_BINARY}"
    return (
        f"{found} was found.\n"
        f"Install {'it' if wanted else 'one of them'}, "
        'or use the embedded engine, which needs no server ("Hosts": ["embedded"]).'
    )


def compose_command() -> list[str] | None:
    """How Compose is called here; None without a Docker that runs."""
    if shutil.which("docker") is None or not _succeeds(["docker", "info"]):
        return None
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and _succeeds([*command, "version"]):
            return command
    return None


def runner_of(home: Home) -> Runner:
    """What runs this cluster. Raises Unusable when it is gone."""
    if home.runner == NATIVE:
        return Processes(home)
    command = compose_command()
    if command is None:
        raise Unusable(f"{home.folder} was made with Docker Compose, and no Docker runs here")
    return Containers(home, command)


class Containers:
    """Servers as containers of one Compose project."""

    def __init__(self, home: Home, command: list[str]) -> None:
        self._home = home
        file = home.folder / "compose.yml"
        self._command = [*command, "--project-name", "tracker-cluster", "--file", str(file)]

    def start(self, names: list[str]) -> None:
        """As `Runner.start`."""
        self._run("up", "--detach", *names)

    def stop(self, names: list[str]) -> None:
        """As `Runner.stop`."""
        self._run("stop", "--timeout", str(STOP_SECONDS), *names)

    def running(self) -> list[str]:
        """As `Runner.running`."""
        told = self._run("ps", "--services", "--filter", "status=running", is_quiet=True)
        return [name for name in told.splitlines() if name in self._home.http_ports]

    def logs(self, lines: int) -> None:
        """As `Runner.logs`."""
        self._run("logs", "--tail", str(lines))

    def console(self, name: str) -> int:
        """As `Runner.console`."""
        command = [*self._command, "exec", name, *CLIENT]
        return subprocess.run(command, env={**os.environ, **self._home.environment}, check=False).returncode

    def wipe(self) -> None:
        """As `Runner.wipe`."""
        self._run("down", "--volumes")

    def _run(self, *arguments: str, is_quiet: bool = False) -> str:
        done = subprocess.run(
            [*self._command, *arguments],
            env={**os.environ, **self._home.environment},
            stdout=subprocess.PIPE if is_quiet else None,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unusable(f"docker compose {arguments[0]} failed with {done.returncode}")
        return done.stdout or ""


class Processes:
    """Servers as processes of this machine, each known by its pid file, for they outlive the command."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._own: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, names: list[str]) -> None:
        """As `Runner.start`."""
        running = self.running()
        for name in names:
            if name not in running:
                self._launch(self._home.folder / name)

    def stop(self, names: list[str]) -> None:
        """As `Runner.stop`."""
        pids = [pid for name in names if (pid := self._pid(name))]
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while late := [pid for pid in pids if _runs(pid)]:
            if time.monotonic() > deadline:
                raise Unusable(f"still running after {STOP_SECONDS} s: process {', '.join(map(str, late))}")
            time.sleep(0.1)
        for name in names:
            if name in self._own:
                self._own.pop(name).wait()

    def running(self) -> list[str]:
        """As `Runner.running`."""
        return [name for name in self._home.http_ports if self._pid(name)]

    def logs(self, lines: int) -> None:
        """As `Runner.logs`."""
        for name in self._home.http_ports:
            print(f"--- {name}")
            for file in (self._home.folder / name / "output.log", self._home.folder / name / "log" / LOG):
                if file.exists():
                    with file.open(encoding="utf-8", errors="replace") as text:
                        sys.stdout.writelines(deque(text, lines))

    def console(self, name: str) -> int:
        """As `Runner.console`."""
        port = next(each.ports.native for each in self._home.plan.servers if each.name == name)
        command = [_binary(self._home.folder), *CLIENT[1:], "--port", str(port)]
        return subprocess.run(command, env={**os.environ, **self._home.environment}, check=False).returncode

    def wipe(self) -> None:
        """As `Runner.wipe`."""
        for name in self._home.http_ports:
            shutil.rmtree(self._home.folder / name / "data", ignore_errors=True)

    def _launch(self, place: Path) -> None:
        binary = _binary(place.parent)
        for folder in ("data", "log"):
            (place / folder).mkdir(mode=0o700, exist_ok=True)
        with (place / "output.log").open("ab") as output:
            process = subprocess.Popen(
                [binary, "server", f"--config-file={(place / 'config.xml').resolve()}"],
                env={**os.environ, **self._home.environment, "CLICKHOUSE_WATCHDOG_ENABLE": "0"},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=place, start_new_session=True,
            )  # fmt: skip
        self._own[place.name] = process
        (place / "pid").write_text(str(process.pid), encoding="utf-8")

    def _pid(self, name: str) -> int | None:
        """The process of this server; None also when its number means another process by now."""
        try:
            pid = int((self._home.folder / name / "pid").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        config = str((self._home.folder / name / "config.xml").resolve())
        return pid if _runs(pid) and config in _command_line(pid) else None


def _binary(folder: Path) -> str:
    binary = shutil.which("clickhouse")
    if binary is None:
        raise Unusable(f"{folder} was made with a `clickhouse` binary, and none is on the PATH")
    return binary


def _runs(pid: int) -> bool:
    """Whether it does, or a thread of it; it does not when only its end was not asked about (a zombie)."""
    state = _told_of(pid, "stat=").strip()
    return bool(state) and (not state.startswith("Z") or "l" in state)


def _command_line(pid: int) -> str:
    return _told_of(pid, "command=")


def _told_of(pid: int, what: str) -> str:
    command = ["ps", "-ww", "-o", what, "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False
