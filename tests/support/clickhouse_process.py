"""A ClickHouse server in a process of its own: the test server, or a real one where `clickhouse` is."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.processes import free_port
from tests.support.clickhouse_wrongs import misbehaved_beside, wrongs_of

START_SECONDS = 60
ROOT = Path(__file__).parents[2]
KINDS = ("test server", *(("clickhouse",) if shutil.which("clickhouse") else ()))
"""What HTTP tests run against: a parameter for those that need no wrongs."""
USERS: Mapping[str, Mapping[str, Any]] = {"default": {}}


@dataclass
class ClickHouse:
    """The test server over one folder; the port stays the same over restarts."""

    folder: Path
    """Its data."""
    port: int = field(default_factory=free_port)
    users: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: USERS)
    cert: Path | None = None
    key: Path | None = None
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'https' if self.cert else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until it answers. Raises AssertionError, with its log, when it ends instead."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._beside("users.json").write_text(json.dumps(self.users), encoding="utf-8")
        with self._beside("log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_alive():
                return
            time.sleep(0.02)
        self.kill()
        raise AssertionError(self.log)

    def command(self) -> list[str]:
        """What is started."""
        given = {"folder": self.folder, "port": self.port, "users": self._beside("users.json")}
        if self.cert is not None:
            given |= {"cert": self.cert, "key": self.key or self.cert}
        typed = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-m", "tests.support.clickhouse_server", *typed]

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=5, context=self._tls()):  # noqa: S310 (loopback)
                return True
        except OSError:
            return False

    def wrong(self, *rules: Mapping[str, Any]) -> None:
        """What goes wrong from now on, instead of what did so far; see `tests.support.clickhouse_wrongs`."""
        new = self._beside("wrongs.new")
        new.write_text(json.dumps(rules), encoding="utf-8")
        new.replace(wrongs_of(self.folder))

    @property
    def misbehaved(self) -> list[str]:
        """`does table` for each time something went wrong as it was told."""
        path = misbehaved_beside(wrongs_of(self.folder))
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    @property
    def log(self) -> str:
        """Everything it printed so far, over all its starts."""
        return self._beside("log").read_text(encoding="utf-8")

    def ask(self, sql: str, database: str = "default") -> list[dict[str, Any]]:
        """Run a statement as the first user; its rows. Raises AssertionError with the server's complaint."""
        name, said = next(iter(self.users.items()))
        query = urllib.parse.urlencode({"database": database, "default_format": "JSONEachRow"})
        request = urllib.request.Request(  # noqa: S310 (loopback)
            f"{self.url}/?{query}",
            sql.encode(),
            {"X-ClickHouse-User": name, "X-ClickHouse-Key": said.get("password", "")},
        )
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._tls()) as answer:  # noqa: S310 (loopback)
                return [orjson.loads(line) for line in answer.read().splitlines()]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """It keeps its connections and does nothing until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM; kill -9 when that does not end it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: int) -> None:
        if self.process is not None:
            os.kill(self.process.pid, number)

    def _beside(self, ending: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{ending}")

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=str(self.cert)) if self.cert else None


class RealClickHouse(ClickHouse):
    """A server of the `clickhouse` program; it does nothing wrong on demand."""

    def command(self) -> list[str]:
        """What is started."""
        folder = f"{self.folder}/"
        options = {
            "path": folder, "tmp_path": f"{folder}tmp/", "user_files_path": f"{folder}files/",
            "format_schema_path": f"{folder}schemas/", "listen_host": "127.0.0.1",
            "http_port": str(self.port), "tcp_port": str(free_port()), "logger.console": "1",
            "logger.level": "warning", "mlock_executable": "0",
        }  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        return ["clickhouse", "server", "--", *(f"--{name}={value}" for name, value in options.items())]

    def wrong(self, *rules: Mapping[str, Any]) -> None:
        """Nothing can be told to it."""
        if rules:
            pytest.skip("only the test server does wrong on demand")


@contextmanager
def serving(folder: Path, kind: str = KINDS[0], **given: Any) -> Iterator[ClickHouse]:
    """A running server with its data in `folder`; killed at the end."""
    server = (ClickHouse if kind == KINDS[0] else RealClickHouse)(folder, **given)
    server.start()
    try:
        yield server
    finally:
        server.kill()
