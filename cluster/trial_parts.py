"""`make cluster-test`: the trial with the servers of a home and a real tracker."""

# ruff: noqa: S603 (the tracker's own command with this interpreter; loopback only)

import http.client
import json
import subprocess
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from cluster.asking import until
from cluster.control import ROOT, server, tracker_environment, wait
from cluster.home import Home
from cluster.runners import runner_of
from cluster.trial import Load, judge

ARRIVE_SECONDS = 120
LOAD_SECONDS = 10


def run(home: Home) -> int:
    """Try the cluster that lives there."""
    if len(home.http_ports) < 2:
        print("one server is no cluster", file=sys.stderr)
        return 1
    wait(home)
    event = f"cluster_test_{uuid.uuid4().hex[:12]}"
    with tracker_for(home) as collector:
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
    def copies(self) -> int:
        """As `Servers.copies`."""
        return self._home.description.replicas

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
def tracker_for(home: Home) -> Iterator[Tracker]:
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
