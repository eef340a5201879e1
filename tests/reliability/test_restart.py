"""A start takes as long as it takes, however much waits."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.processes import resident_bytes
from tests.reliability.campaign import until
from tests.support.server import Server, running
from tests.support.spools import NOW, check, client_id, deliver_all, entry, open_spool
from tracker.batching.spool import Spool
from tracker.events import Entry, Row

MIB = 1024 * 1024
GIB = 1024 * MIB
AWAY = {"sinks": {"*": {"behaviour": "refuse"}}}
STARTS = 5


def _in_large_chunks(spool: Spool) -> None:
    entries = [Entry((Row("events", b'{"text":"%b"}' % (b"x" * 700)),))] * 1400
    for _ in range(GIB // (1400 * 713)):
        spool.commit(entries, time.time())


def _in_chunks_of_one_row(spool: Spool) -> None:
    """What a quiet day leaves: each event was committed alone."""
    entries = [Entry((Row("events", b'{"text":"%b"}' % (b"x" * 3500)),))]
    for _ in range(GIB // 3513):
        spool.commit(entries, time.time())


def _started(server: Server, *, until_asked: bool) -> tuple[float, int]:
    """Median seconds of some starts, and the most memory in bytes after one, when the store was asked if it
    will be."""
    seconds, memory = [], []
    for _ in range(STARTS):
        began = time.monotonic()
        server.start()
        seconds.append(time.monotonic() - began)
        before = len(server.misbehaved)
        until(partial(_was_asked, server, before + until_asked), 20, "delivery never began")
        memory.append(resident_bytes(server.process.pid))
        server.kill()
    return statistics.median(seconds), max(memory)


def _was_asked(server: Server, times: int) -> bool:
    return len(server.misbehaved) >= times


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fill", [_in_large_chunks, _in_chunks_of_one_row])
def test_a_start_with_a_gibibyte_waiting_is_as_quick_as_an_empty_one(
    tmp_path: Path, fill: Callable[[Spool], None]
) -> None:
    with running(tmp_path, faults=AWAY) as server:
        server.kill()
        empty_seconds, empty_bytes = _started(server, until_asked=False)
        spool = open_spool(tmp_path / "data" / "spool", durability="memory")
        fill(spool)
        assert spool.state().live_bytes > 0.95 * GIB
        spool.close()
        seconds, memory = _started(server, until_asked=True)
        print(
            f"start {empty_seconds:.2f} s empty, {seconds:.2f} s with 1 GiB waiting;"
            f" memory {empty_bytes // MIB} and {memory // MIB} MiB"
        )
        assert seconds <= 2 * empty_seconds
        assert memory <= empty_bytes + 64 * MIB


def test_what_a_start_knows_of_a_long_backlog_is_what_a_recount_finds(tmp_path: Path) -> None:
    """Bytes and rows come from running sums, not from a look at each chunk."""
    spool = open_spool(tmp_path, "a", "b", chunk_bytes=200)
    for n in range(40):
        spool.commit([entry(f"{n} " + "x" * n, client_id=client_id(n)), entry(n, "hosts")], NOW + n)
    deliver_all(spool, "a")
    for _ in range(3):
        sealed = spool.seal("b", "events", 7, 10_000, NOW)
        assert sealed is not None
        spool.finish(sealed)
    while spool.housekeep(NOW):
        pass
    before = {key: (backlog.rows, backlog.bytes) for key, backlog in spool.memory.backlogs.items()}
    live, ends = spool.memory.live_bytes, dict(spool.memory.ends)
    spool.close()
    again = open_spool(tmp_path, "a", "b")
    memory = again.memory
    assert {key: (backlog.rows, backlog.bytes) for key, backlog in memory.backlogs.items()} == before
    assert (memory.live_bytes, memory.ends) == (live, ends)
    assert again.ask(lambda db: db.execute("SELECT sum(bytes) FROM chunks").fetchone())[0] == live
    check(again)
    again.close()
