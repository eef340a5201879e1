"""Starting what is measured: the server on one core, the load on another, both in processes of their own."""

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

from bench.load import Outcome

SERVER_CORE, LOAD_CORE = 0, 1
START_SECONDS = 30
LOWEST_PORT, LOWEST_EPHEMERAL_PORT = 10_000, 32_768


def free_port() -> int:
    """A TCP port on loopback that nothing listens on.

    Below the range from which the system takes ports for connections, so that none has it a moment later.
    """
    while True:
        port = random.randrange(LOWEST_PORT, LOWEST_EPHEMERAL_PORT)  # noqa: S311 (no secret)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _pinned(arguments: list[str], core: int, **options: object) -> subprocess.Popen[bytes]:
    cores = sorted(os.sched_getaffinity(0))
    core_number = cores[core % len(cores)]
    command = ["taskset", "-c", str(core_number), sys.executable, *arguments]
    return subprocess.Popen(command, **options)  # type: ignore[call-overload,no-any-return]  # options vary


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"the server on port {port} did not become ready")


@contextmanager
def _running(arguments: list[str], port: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "server.log").open("ab") as log:
        process = _pinned(arguments, SERVER_CORE, stdout=log, stderr=log)
    try:
        _wait_until_ready(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def bare(folder: Path) -> Iterator[int]:
    """The bare handler; yields its port."""
    port = free_port()
    with _running(["-m", "bench.bare", "--port", str(port)], port, folder):
        yield port


@contextmanager
def tracker(folder: Path, durability: str, **keys: Any) -> Iterator[tuple[int, int]]:
    """The real server with its own data folder, the shipped configuration changed by `keys`; yields its port
    and process id."""
    port = free_port()
    config = folder / f"{durability}.json"
    shipped = json.loads((Path(__file__).parents[1] / "config.json").read_text(encoding="utf-8"))
    shipped["ProxyExceptHTTP"] = f"127.0.0.1:{port}"
    shipped.setdefault("Spool", {})["Durability"] = durability
    shipped |= keys
    config.write_text(json.dumps(shipped), encoding="utf-8")
    with _running(["-m", "tracker", str(config)], port, folder) as process:
        yield port, process.pid


def load(port: int, **options: object) -> Outcome:
    """Run one load to its end; options are those of `bench.load`."""
    arguments = ["-m", "bench.load", "--port", str(port)]
    for name, value in options.items():
        arguments += [f"--{name}", str(value)]
    process = _pinned(arguments, LOAD_CORE, stdout=subprocess.PIPE)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}")
    return Outcome(**json.loads(out))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
