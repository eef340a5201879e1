"""`make cluster-test`: whether a cluster keeps what a tracker acknowledged while one of its servers is gone.

A real tracker takes events over HTTP and writes them through the first server. That server is stopped under
load and started again; every event that was acknowledged must be found once, asked from each server.
"""

# ruff: noqa: S603 (the tracker's own command with this interpreter; loopback only)

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Protocol

from cluster.asking import until
from cluster.control import ROOT, server, tracker_environment, wait
from cluster.home import Home
from cluster.runners import runner_of

ARRIVE_SECONDS = 120
LOAD_SECONDS = 10
PER_REQUEST = 50


class Servers(Protocol):
    """The cluster on trial."""

    @property
    def names(self) -> Sequence[str]:
        """Its servers; the first is the one that is written through and stopped."""

    @property
    def is_replicated(self) -> bool:
        """The others have everything when one is gone."""

    def ids(self, name: str, event: str) -> Counter[str]:
        """Ids of the events of this name, each as often as that server has it. Raises NoAnswer."""

    def stop(self, name: str) -> None:
        """Stop it."""

    def start(self, name: str) -> None:
        """Start it again, and wait until it answers."""


class Collector(Protocol):
    """The tracker that writes to it."""

    def send(self, event: str, ids: list[str]) -> bool:
        """Whether it acknowledged these events."""


@dataclass
class Load:
    """Requests one after another, from a thread, until told to stop; remembers what was acknowledged."""

    collector: Collector
    event: str
    acknowledged: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        """Begin."""
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.is_set():
            self.once()

    def once(self) -> None:
        """One request."""
        ids = [str(uuid.uuid4()) for _ in range(PER_REQUEST)]
        self.sent.update(ids)
        if self.collector.send(self.event, ids):
            self.acknowledged += ids
        else:
            self._ended.wait(0.2)


def verdict(load: Load, found: Counter[str]) -> str | None:
    """What is wrong with what a server has; None when each acknowledged event is there once."""
    lost = sum(one not in found for one in load.acknowledged)
    doubled = sum(count > 1 for count in found.values())
    foreign = len(found.keys() - load.sent)
    if lost or doubled or foreign:
        return f"{lost} lost, {doubled} doubled, {foreign} never sent, of {len(load.acknowledged)}"
    return None


def judge(servers: Servers, load: Load, load_seconds: float, arrive_seconds: float) -> int:
    """The whole trial, told line by line; 0 when nothing was lost or doubled."""
    writer, *others = servers.names
    load.once()
    if not _all_there(servers, servers.names, load, arrive_seconds, f"written through {writer}"):
        return 1
    with load:
        threading.Event().wait(load_seconds / 2)
        servers.stop(writer)
        print(f"{writer} stopped under load")
        threading.Event().wait(load_seconds)
    if servers.is_replicated and not _all_there(
        servers, others, load, arrive_seconds, f"{writer} still gone"
    ):
        return 1
    servers.start(writer)
    print(f"{writer} started again")
    return 0 if _all_there(servers, servers.names, load, arrive_seconds, "all back") else 1


def _all_there(servers: Servers, names: Sequence[str], load: Load, seconds: float, when: str) -> bool:
    """Print what each server has, after having waited for it."""
    is_right = True
    for name in names:
        wrong: list[str | None] = [None]

        def is_so(name: str = name, wrong: list[str | None] = wrong) -> bool:
            wrong[0] = verdict(load, servers.ids(name, load.event))
            return wrong[0] is None

        trouble = until(is_so, seconds)
        told = f"all {len(load.acknowledged)} once" if trouble is None else f"WRONG: {wrong[0] or trouble}"
        print(f"{when}: {name} has {told}")
        is_right = is_right and trouble is None
    return is_right


def run(home: Home) -> int:
    """Try the cluster that lives there."""
    if len(home.http_ports) < 2:
        print("one server is no cluster", file=sys.stderr)
        return 1
    wait(home)
    event = f"cluster_test_{uuid.uuid4().hex[:12]}"
    with _tracker(home) as collector:
        outcome = judge(RealServers(home), Load(collector, event), LOAD_SECONDS, ARRIVE_SECONDS)
    print("FAILED" if outcome else f"passed; the events are named {event}")
    return outcome


class RealServers:
    """The servers of a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._runner = runner_of(home)

    @property
    def names(self) -> Sequence[str]:
        """As `Servers.names`."""
        return list(self._home.http_ports)

    @property
    def is_replicated(self) -> bool:
        """As `Servers.is_replicated`."""
        return self._home.plan.is_replicated

    def ids(self, name: str, event: str) -> Counter[str]:
        """As `Servers.ids`."""
        sql = f"SELECT eid FROM sfpla.events FINAL WHERE ename = '{event}'"  # noqa: S608 (our own name)
        return Counter(row[0] for row in server(self._home, name).ask(sql))

    def stop(self, name: str) -> None:
        """As `Servers.stop`."""
        self._runner.stop([name])

    def start(self, name: str) -> None:
        """As `Servers.start`."""
        self._runner.start([name])
        wait(self._home)


class Tracker:
    """A tracker that listens on a port of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, event: str, ids: list[str]) -> bool:
        """As `Collector.send`."""
        lines = "\n".join(json.dumps({"eid": one, "ename": event}) for one in ids)
        return self._status("POST", "/tr/v1/str/", lines) == http.client.OK

    def is_ready(self) -> bool:
        """Whether it takes events."""
        return self._status("GET", "/readyz") == http.client.OK

    def _status(self, method: str, path: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        else:
            return answer.status
        finally:
            connection.close()


@contextmanager
def _tracker(home: Home) -> Iterator[Tracker]:
    """A tracker of its own for the trial; what it could not deliver ends with it."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tracker", str(home.tracker_config.resolve())],
            cwd=ROOT, env=_environment(home, port, Path(folder)),
        )  # fmt: skip
        try:
            tracker = Tracker(port)
            until(lambda: process.poll() is not None or tracker.is_ready(), 60)
            yield tracker
        finally:
            process.terminate()
            process.wait(60)


def _environment(home: Home, port: int, folder: Path) -> Mapping[str, str]:
    return {
        **tracker_environment(home),
        "TRACKER_PROXYEXCEPTHTTP": f"127.0.0.1:{port}",
        "TRACKER_SPOOL__PATH": str(folder / "spool"),
        "TRACKER_ADMIN__SOCKET": str(folder / "tracker.sock"),
    }
