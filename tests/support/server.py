"""The real server in a process of its own, for tests that use it as a person would."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import free_port
from tests.support.sabotage import CRASHES, FILE, MISBEHAVED

START_SECONDS = 30
ROOT = Path(__file__).parents[2]


def write_config(folder: Path, port: int, **sections: Any) -> Path:
    """The shipped configuration on another port, with its data in `folder`, changed by `sections`."""
    config = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    config["ProxyExceptHTTP"] = f"127.0.0.1:{port}"
    for name, value in sections.items():
        is_section = isinstance(value, dict)
        config[name] = {**config.get(name, {}), **value} if is_section else value
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@dataclass
class Server:
    """One running server and its folder."""

    config: Path
    port: int
    environ: Mapping[str, str] = field(default_factory=dict)
    module: str = "tracker"
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        """Start and wait until it listens. Raises AssertionError, with its log, when it ends instead."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_alive():
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(self.log)

    def launch(self, *arguments: str) -> None:
        """Start, with more arguments than the configuration, without waiting for anything."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, str(self.config), *arguments],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, FILE: str(self.folder / "faults.json"), **self.environ},
            )

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/livez", timeout=1):  # noqa: S310 (loopback)
                return True
        except OSError:
            return False

    def sabotage(self, **faults: Any) -> None:
        """What goes wrong from now on, instead of what did so far; see `tests.support.sabotage`."""
        new = self.folder / "faults.json.new"
        new.write_text(json.dumps(faults), encoding="utf-8")
        new.replace(self.folder / "faults.json")

    @property
    def crashes(self) -> list[str]:
        """The crash points at which it ended so far, in order."""
        return _lines(self.folder / CRASHES)

    @property
    def misbehaved(self) -> list[str]:
        """`sink table behaviour` for each time a sink did something wrong."""
        return _lines(self.folder / MISBEHAVED)

    @property
    def folder(self) -> Path:
        """Where its configuration and data lie."""
        return self.config.parent

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it printed so far, over all its starts."""
        return (self.folder / "server.log").read_text(encoding="utf-8")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._ask(urllib.request.Request(self.url + path, headers=dict(headers or {})))  # noqa: S310 (loopback)

    def post(
        self, path: str, body: bytes | Any, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of a POST of bytes or of anything that JSON can say."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask(urllib.request.Request(self.url + path, data, dict(headers or {})))  # noqa: S310 (loopback)

    def _ask(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (loopback)
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def command(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run `python -m tracker …` beside it, with its configuration."""
        command = [sys.executable, "-m", "tracker", *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, cwd=self.folder, check=False
        )

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The answer to a question, as people get it."""
        done = self.command("sql", "--config", str(self.config), "--json", "--max-rows", "1000000", sql)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def rows_when(self, sql: str, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        """The answer as soon as it has `count` rows; the last one when it never does."""
        deadline = time.monotonic() + seconds
        while len(found := self.rows(sql)) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def start_again(self) -> None:
        """Start once more with the same configuration and data."""
        self.start()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@contextmanager
def running(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    faults: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Iterator[Server]:
    """A server with the shipped configuration, changed by `sections`; killed at the end if it still runs.

    With `faults`, also empty ones, it can be sabotaged; without, it is plain `python -m tracker`.
    """
    port = free_port()
    config = write_config(folder, port, **sections)
    module = "tracker" if faults is None else "tests.support.sabotage"
    server = Server(config, port, environ or {}, module)
    server.sabotage(**(faults or {}))
    server.start()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
