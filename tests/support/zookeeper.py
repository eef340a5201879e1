"""ZooKeeper, which speaks ClickHouse Keeper's protocol: its jars by Maven, a server for one test."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import free_port
from tests.support.services import made_once, needed

VERSION = "3.9.3"
PARTS = (
    f"org.apache.zookeeper:zookeeper:{VERSION}",
    "io.dropwizard.metrics:metrics-core:4.1.12.1",
    "org.xerial.snappy:snappy-java:1.1.10.5",
)
MAIN = "org.apache.zookeeper.server.ZooKeeperServerMain"
FETCH_SECONDS = 600
START_SECONDS = 30


@contextmanager
def zookeeper(folder: Path) -> Iterator[int]:
    """A server on a port of loopback, with its data in `folder`. Skips the test without Java or Maven."""
    java, jars, port = shutil.which("java") or needed("ZooKeeper (Java runs it)"), _jars(), free_port()
    with (folder / "zookeeper.log").open("ab") as log:
        process = subprocess.Popen(
            [java, "-Xmx128m", "-cp", f"{jars}/*", MAIN, str(_config(folder, port))], stdout=log, stderr=log
        )
    try:
        _wait(port, process, folder / "zookeeper.log")
        yield port
    finally:
        process.kill()
        process.wait()


def _jars() -> Path:
    """Their folder, filled once in the virtual environment."""
    return made_once(f"zookeeper-{VERSION}", _fetch)


def _fetch(made: Path) -> None:
    maven = shutil.which("mvn") or needed("ZooKeeper (Maven fetches it)")
    new = made.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    (new / "pom.xml").write_text(_project(), encoding="utf-8")
    done = subprocess.run(
        [maven, "-q", "-B", "-ntp", "-f", "pom.xml", "dependency:copy-dependencies", "-DoutputDirectory=."],
        cwd=new,
        capture_output=True,
        text=True,
        timeout=FETCH_SECONDS,
        check=False,
    )
    if done.returncode:
        needed(f"ZooKeeper ({(done.stdout + done.stderr).strip()[-300:]})")
    new.replace(made)


def _project() -> str:
    names = ("groupId", "artifactId", "version")
    wanted = "".join(f"<dependency>{_elements(names, part.split(':'))}</dependency>" for part in PARTS)
    own = _elements((*names, "packaging"), ["tests", "zookeeper", "1", "pom"])
    return f"<project><modelVersion>4.0.0</modelVersion>{own}<dependencies>{wanted}</dependencies></project>"


def _elements(names: tuple[str, ...], values: list[str]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, values, strict=True))


def _config(folder: Path, port: int) -> Path:
    file = folder / "zoo.cfg"
    lines = (
        "tickTime=500",
        f"dataDir={folder / 'zookeeper'}",
        "clientPortAddress=127.0.0.1",
        f"clientPort={port}",
        "admin.enableServer=false",
    )
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text(encoding="utf-8"))
