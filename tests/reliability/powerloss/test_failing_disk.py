"""A disk that fails under load and is well again: nothing is lost or doubled, events are taken at once."""

import http.client
import json
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.reliability.campaign import until
from tests.reliability.clients import Event
from tests.reliability.judge import judge
from tests.reliability.powerloss.cuts import Recorded, cut
from tests.reliability.powerloss.loads import clients, made, on_disk, post, waiting
from tests.reliability.powerloss.recording import Kind
from tests.reliability.stores import duckdb_rows
from tests.support.preload import Disk
from tests.support.server import Server

SEED = int(os.environ.get("SEED") or random.randrange(2**32))
GENEROUS_SECONDS = 20.0


@dataclass(frozen=True)
class Fault:
    """What fails, which file is hit by it, and whether events are refused meanwhile."""

    calls: tuple[str, ...]
    hit: str
    is_refusing: bool


SYNC_OF_SPOOL = Fault(("sync EIO spool.db-wal",), "sync EIO spool.db-wal", is_refusing=True)
FAULTS = (
    SYNC_OF_SPOOL,
    Fault(("sync ENOSPC spool.db-wal",), "sync ENOSPC spool.db-wal", is_refusing=True),
    Fault(("sync EDQUOT spool.db-wal",), "sync EDQUOT spool.db-wal", is_refusing=True),
    Fault(("write EIO spool.db-wal",), "write EIO spool.db-wal", is_refusing=True),
    Fault(("write ENOSPC spool.db-wal",), "write ENOSPC spool.db-wal", is_refusing=True),
    Fault(("write EDQUOT spool.db-wal",), "write EDQUOT spool.db-wal", is_refusing=True),
    Fault(("open EROFS data/", "write EROFS spool.db-wal"), "write EROFS spool.db-wal", is_refusing=True),
    Fault(("open EACCES data/",), "open EACCES", is_refusing=False),
    Fault(("sync EIO spool.db",), "sync EIO spool.db", is_refusing=False),
    Fault(("write ENOSPC spool.db",), "write ENOSPC spool.db", is_refusing=False),
    Fault(("sync EIO tracker.duckdb.wal",), "sync EIO tracker.duckdb.wal", is_refusing=False),
    Fault(("write ENOSPC tracker.duckdb.wal",), "write ENOSPC tracker.duckdb.wal", is_refusing=False),
    Fault(
        ("sync EIO tracker.duckdb", "sync EIO tracker.duckdb.wal"),
        "sync EIO tracker.duckdb",
        is_refusing=False,
    ),
)


def _is_hit(disk: Disk, fault: Fault) -> bool:
    return any(hit.startswith(fault.hit) for hit in disk.hits)


def _break(server: Server, disk: Disk, fault: Fault) -> list[Event]:
    """Let it fail until it was noticed; the events that were sent last, which were refused if any are."""
    disk.fail(*fault.calls)
    deadline = time.monotonic() + GENEROUS_SECONDS
    while not _is_hit(disk, fault):
        assert time.monotonic() < deadline, f"{fault.hit} was never hit: {disk.hits[:5]}"
        post(server, made(20, 5000))
    last = made(2, 100)
    assert post(server, last) is not fault.is_refusing
    return last


def _refusal(server: Server, events: list[Event]) -> tuple[int, str | None]:
    """Status and Retry-After of these events sent once more."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("POST", "/tr/v1/tr/", json.dumps([event.body for event in events]))
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer.status, answer.headers["Retry-After"]


def _heal(server: Server, disk: Disk, last: list[Event]) -> float:
    """After how many seconds what was sent last is acknowledged; sent under the same ids as before."""
    disk.fail()
    started = time.monotonic()
    until(lambda: post(server, last), GENEROUS_SECONDS, "events are still refused")
    return time.monotonic() - started


def _settle(server: Server) -> None:
    until(lambda: not waiting(server), 3 * GENEROUS_SECONDS, "rows still wait")


def _assert_clean(server: Server) -> None:
    print(f"SEED={SEED}")
    verdict = judge(server.folder / "clients", duckdb_rows(server))
    assert verdict.acknowledged > 50, verdict
    assert verdict.is_clean, verdict


def test_a_failing_sync_refuses_events_and_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with on_disk(tmp_path) as (server, disk):
        with clients(server, SEED):
            time.sleep(0.3)
            last = _break(server, disk, SYNC_OF_SPOOL)
            status, retry_after = _refusal(server, last)
            assert (status, int(retry_after or 0) > 0) == (503, True)
            _heal(server, disk, last)
        _settle(server)
        assert server.stop() == 0
        _assert_clean(server)


def test_readiness_returns_without_a_request_when_the_disk_is_well_again(tmp_path: Path) -> None:
    with on_disk(tmp_path) as (server, disk):
        _break(server, disk, SYNC_OF_SPOOL)
        assert server.get("/readyz")[0] == 503
        before = len(disk.hits)
        until(lambda: len(disk.hits) > before, GENEROUS_SECONDS, "the disk was not tried again")
        assert server.get("/readyz")[0] == 503
        disk.fail()
        until(lambda: server.get("/readyz")[0] == 200, GENEROUS_SECONDS, "it never was ready again")


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: " and ".join(fault.calls))
def test_whatever_fails_nothing_is_lost_or_doubled_and_it_goes_on_within_a_second(
    tmp_path: Path, fault: Fault
) -> None:
    with on_disk(tmp_path) as (server, disk):
        with clients(server, SEED):
            time.sleep(1)
            for _ in range(3):
                seconds = _heal(server, disk, _break(server, disk, fault))
                assert seconds < 1.0
                time.sleep(0.5)
        _settle(server)
        assert server.stop() == 0
        _assert_clean(server)


def _fail_recorded(folder: Path, fault: Fault) -> Recorded:
    with on_disk(folder) as (server, disk):
        with clients(server, SEED):
            time.sleep(0.5)
            for _ in range(2):
                _heal(server, disk, _break(server, disk, fault))
                time.sleep(0.5)
        _settle(server)
        server.kill()
    return Recorded.of(folder)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: " and ".join(fault.calls))
async def test_a_power_cut_after_a_failure_loses_and_doubles_nothing(tmp_path: Path, fault: Fault) -> None:
    recorded = _fail_recorded(tmp_path, fault)
    cuts = await cut(recorded, SEED, 4, 2, tmp_path)
    assert not cuts.bad, cuts.bad[:3]
    assert not cuts.put_aside, cuts.put_aside
    assert cuts.owed
    if fault.hit.startswith("sync"):
        assert any(getattr(item, "kind", None) is Kind.SYNC_FAILED for item in recorded.items)
