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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import free_port

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
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it printed so far, over all its starts."""
        return (self.config.parent / "server.log").read_text(encoding="utf-8")

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
            command, input=stdin, capture_output=True, text=True, cwd=self.config.parent, check=False
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
        self.process = _start(self.config, self.port, {})


def _start(config: Path, port: int, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with (config.parent / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tracker", str(config)],
            stdout=log,
            stderr=log,
            env={**os.environ, **environ},
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1):
                return process
        except OSError:
            time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError((config.parent / "server.log").read_text(encoding="utf-8"))


@contextmanager
def running(folder: Path, environ: Mapping[str, str] | None = None, **sections: Any) -> Iterator[Server]:
    """A server with the shipped configuration, changed by `sections`; killed at the end if it still runs."""
    port = free_port()
    config = write_config(folder, port, **sections)
    server = Server(config, port, _start(config, port, environ or {}))
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
