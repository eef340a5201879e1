"""A broken network between two processes: toxiproxy, built by Go when it is first needed.

Toxics are named as in its documentation: latency, timeout (a black hole), reset_peer, limit_data, …
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.processes import free_port
from tests.support.services import made_once, needed

VERSION = "v2.12.0"
SOURCE = "github.com/Shopify/toxiproxy/v2/cmd/server"
BUILD_SECONDS = 600
START_SECONDS = 10

Direction = Literal["upstream", "downstream"]
"""upstream: what the client sends; downstream: what the server answers."""


def program() -> Path:
    """Toxiproxy's server, built once into the virtual environment. Skips the test without Go."""
    return made_once(f"toxiproxy-{VERSION}", _build)


def _build(made: Path) -> None:
    go = shutil.which("go") or needed("the fault proxy toxiproxy (Go builds it)")
    folder = made.with_suffix(".new")
    environ = {**os.environ, "GOBIN": str(folder)}
    command = [go, "install", f"{SOURCE}@{VERSION}"]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode:
        needed(f"the fault proxy toxiproxy ({done.stderr.strip()[-300:]})")
    (folder / "server").replace(made)
    folder.rmdir()


@dataclass(frozen=True, slots=True)
class Proxy:
    """One way through the proxy, to one server."""

    control: str
    name: str
    port: int
    """Where clients connect, on loopback."""

    def add(self, kind: str, direction: Direction = "downstream", **attributes: int) -> None:
        """From now on this is wrong with every connection, also with those that are open."""
        self._ask(
            "POST",
            f"/proxies/{self.name}/toxics",
            {"type": kind, "stream": direction, "attributes": attributes, "name": f"{kind}-{direction}"},
        )

    def clear(self) -> None:
        """Nothing is wrong with new connections."""
        proxy = self._ask("GET", f"/proxies/{self.name}")
        for toxic in proxy["toxics"]:
            self._ask("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")

    def cut(self) -> None:
        """Close every connection and refuse new ones, as a dead host's system does."""
        self._ask("POST", f"/proxies/{self.name}", {"enabled": False})

    def mend(self) -> None:
        """Take connections again."""
        self._ask("POST", f"/proxies/{self.name}", {"enabled": True})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return _ask(self.control, method, path, body)


def _ask(control: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(control + path, data, method=method)  # noqa: S310 (loopback)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (loopback)
        text = answer.read()
        return json.loads(text) if text else None


@dataclass(frozen=True, slots=True)
class Toxiproxy:
    """A running proxy."""

    control: str

    def to(self, port: int, name: str = "") -> Proxy:
        """A new way to the server on this port of loopback."""
        name, listen = name or f"to-{port}", free_port()
        said = {"name": name, "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{port}"}
        _ask(self.control, "POST", "/proxies", said)
        return Proxy(self.control, name, listen)


@contextmanager
def broken_network() -> Iterator[Toxiproxy]:
    """The proxy in a process of its own, without any way yet."""
    port = free_port()
    process = subprocess.Popen(
        [program(), "-host", "127.0.0.1", "-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{port}")
        yield Toxiproxy(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


def _wait(control: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _ask(control, "GET", "/version")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
