"""When something runs out (disk, spool, memory, a store's pace) refusals are honest and nothing is lost."""

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench.processes import resident_bytes
from tests.reliability.campaign import until
from tests.reliability.endings import delivered
from tests.support.disks import MIB, fill, small_disk
from tests.support.server import Server, running

QUICK = {"events": {"Strategy": "hybrid", "MaxBatchTime": "0.05s"}}
AWAY = {"sinks": {"*": {"behaviour": "refuse"}}}


def _events(count: int, size: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"eid": str(uuid.uuid4()), "ename": "load", "vid": "one", "number": first + n, "text": "x" * size}
        for n in range(count)
    ]


def _numbers(server: Server) -> list[int]:
    """What the stopped server's database holds, in the order in which it was written."""
    with duckdb.connect(str(server.folder / "data" / "tracker.duckdb"), read_only=True) as store:
        found = store.execute("SELECT (params->>'number')::BIGINT FROM events ORDER BY rowid").fetchall()
    return [number for (number,) in found]


def _send_until_refused(server: Server, rows: int, size: int) -> tuple[list[int], bytes]:
    """The numbers that were acknowledged before a request got 503, and what that said."""
    acknowledged: list[int] = []
    for start in range(0, 1_000_000, rows):
        status, body = server.post("/tr/v1/tr/", _events(rows, size, start))
        if status == 503:
            return acknowledged, body
        assert status == 200, body
        acknowledged += range(start, start + rows)
    raise AssertionError("nothing was ever refused")


def _retry_after(server: Server, size: int) -> str | None:
    """What a refusal of an event of this size says; a small one may still fit."""
    body = json.dumps(_events(50, size)).encode()
    request = urllib.request.Request(f"{server.url}/tr/v1/tr/", body)  # noqa: S310 (loopback)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310 (loopback)
    with refused.value as answer:
        assert answer.code == 503
        return answer.headers["Retry-After"]


@pytest.mark.long
def test_a_full_disk_is_503_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with (
        small_disk(40) as disk,
        running(tmp_path, faults=AWAY, Batching=QUICK, Spool={"Path": str(disk / "spool")}) as server,
    ):
        first, _ = 0, server.post("/tr/v1/tr/", _events(50, 100))
        rest = fill(disk, leave=2 * MIB)
        acknowledged, _ = _send_until_refused(server, 50, 5000)
        assert _retry_after(server, 5000) is not None
        assert json.loads(server.get("/readyz")[1])["reasons"], "nobody was told"
        rest.unlink()
        freed = time.monotonic()
        until(lambda: server.post("/tr/v1/tr/", _events(1, 10, 7_000_000))[0] == 200, 10, "still refused")
        print(f"accepting again {time.monotonic() - freed:.2f} s after there was room")
        server.sabotage()
        delivered(server)
        assert server.stop() == 0
        numbers = _numbers(server)
    assert sorted(numbers) == sorted([*range(first, 50), *acknowledged, 7_000_000])


@pytest.mark.long
def test_a_full_spool_is_503_until_something_was_delivered(tmp_path: Path) -> None:
    with running(tmp_path, faults=AWAY, Batching=QUICK, Spool={"MaxBytes": 2 * MIB}) as server:
        acknowledged, body = _send_until_refused(server, 50, 1000)
        assert b"spool full" in body
        assert len(acknowledged) > 500
        assert _retry_after(server, 1000) is not None
        status, told = server.get("/readyz")
        assert (status, json.loads(told)["reasons"]) == (503, ["spool full"])
        server.sabotage()
        until(lambda: server.get("/readyz")[0] == 200, 30, "never ready again")
        assert server.post("/tr/v1/tr/", _events(1, 10, 7_000_000))[0] == 200
        delivered(server)
        assert server.stop() == 0
        assert _numbers(server) == [*acknowledged, 7_000_000]


@pytest.mark.long
def test_an_outage_of_ten_times_the_memory_leaves_memory_flat_and_the_order_kept(tmp_path: Path) -> None:
    budget, rows, size = 8 * MIB, 100, 8000
    with running(tmp_path, faults=AWAY, Batching=QUICK, Spool={"MaxMemoryBytes": budget}) as server:
        memory, sent = [], 0
        while sent * size < 10 * budget:
            assert server.post("/tr/v1/tr/", _events(rows, size, sent))[0] == 200
            sent += rows
            memory.append(resident_bytes(server.process.pid))
        assert server.misbehaved, "the store was never asked"
        half = len(memory) // 2
        early, late = max(memory[:half]), max(memory[half:])
        print(f"outage of {sent * size // MIB} MiB: {early // MIB} MiB at first, then {late // MIB}")
        assert late < early + 16 * MIB
        server.sabotage()
        delivered(server)
        after = resident_bytes(server.process.pid)
        print(f"after delivery {after // MIB} MiB")
        assert server.stop() == 0
        assert _numbers(server) == list(range(sent)), "not once each, oldest first"


class Overload:
    """Requests as fast as one connection brings them, from several threads."""

    def __init__(self, server: Server, rows: int, threads: int, pause: float) -> None:
        self.server = server
        self.rows = rows
        self.pause = pause
        self.acknowledged: list[int] = []
        self.refusals: list[float] = []
        self._numbers = iter(range(0, 10**9, rows))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    @property
    def sent(self) -> int:
        """Rows that were answered, with either answer."""
        return len(self.acknowledged) + self.rows * len(self.refusals)

    def __enter__(self) -> "Overload":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        for start in self._starts():
            began = time.monotonic()
            status, _ = self.server.post("/tr/v1/tr/", _events(self.rows, 200, start))
            took = time.monotonic() - began
            with self._lock:
                if status == 200:
                    self.acknowledged += range(start, start + self.rows)
                else:
                    assert status == 503
                    self.refusals.append(took)
            time.sleep(self.pause)

    def _starts(self) -> Iterator[int]:
        while not self._stop.is_set():
            with self._lock:
                start = next(self._numbers)
            yield start


@pytest.mark.long
def test_four_times_the_load_a_store_takes_is_refused_quickly_and_the_store_kept_busy(tmp_path: Path) -> None:
    slow = {"sinks": {"*": {"behaviour": "slow", "seconds": 0.4, "tables": ["events"]}}}
    batching = {"events": {"Strategy": "size", "MaxBatchSize": 200, "MaxAge": "1s"}}
    spool = {"MaxBytes": 2 * MIB, "MaxMemoryBytes": 8 * MIB}
    with running(tmp_path, faults=slow, Batching=batching, Spool=spool) as server:
        with Overload(server, 50, threads=4, pause=0.08) as load:
            until(lambda: len(load.refusals) > 20, 60, "the spool never filled")
            began, sent = time.monotonic(), load.sent
            goodput = max(_pace(server, 3600) for _ in range(3))  # other work may disturb some
            offered = (load.sent - sent) / (time.monotonic() - began)
            memory = resident_bytes(server.process.pid)
        capacity = _pace(server, 1600)
        refusals = sorted(load.refusals)
        p99 = refusals[int(len(refusals) * 0.99)]
        print(
            f"offered {offered:.0f}, stored {goodput:.0f}, capacity without load {capacity:.0f} rows/s"
            f" (goodput {goodput / capacity:.2f}); p99 of {len(refusals)} refusals {p99 * 1000:.0f} ms;"
            f" {memory // MIB} MiB"
        )
        assert offered > 3 * capacity, "that was no overload"
        assert goodput > 0.9 * capacity
        assert memory < 256 * MIB
        server.sabotage()
        delivered(server)
        assert server.stop() == 0
        assert sorted(_numbers(server)) == sorted(load.acknowledged)


def _pace(server: Server, rows: int) -> float:
    """Events delivered a second, between the ends of two batches so many rows apart."""
    before = _delivered_rows(server)
    until(lambda: _delivered_rows(server) > before, 60, "nothing is delivered")
    began, before = time.monotonic(), _delivered_rows(server)
    until(lambda: _delivered_rows(server) - before >= rows, 60, "the backlog does not shrink")
    return (_delivered_rows(server) - before) / (time.monotonic() - began)


def _delivered_rows(server: Server) -> int:
    tables = json.loads(server.get("/metrics?format=json")[1])["conservation"]["tables"]
    return sum(table["delivered"] for table in tables if table["table"] == "events")
