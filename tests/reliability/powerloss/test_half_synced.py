"""A process is killed between a write and its sync; the next one reads what no disk has yet; the power goes.

Nothing may be built upon such a transaction unless it is made durable first.
"""

import random
from pathlib import Path

import pytest

from tests.reliability.campaign import until
from tests.reliability.judge import judge
from tests.reliability.powerloss.cuts import Recorded
from tests.reliability.powerloss.disk import Disk
from tests.reliability.powerloss.loads import made, on_disk, post, waiting
from tests.reliability.powerloss.recording import Start
from tests.reliability.powerloss.recovery import Rebuilt
from tests.reliability.stores import duckdb_rows
from tests.support import preload
from tests.support.server import Server

EVENTS = 20
FULL_AND_STORE_AWAY = ("write ENOSPC spool.db", "open EROFS tracker.duckdb")
"""The spool's log cannot be moved at the start, and no delivery syncs it by the way."""


async def _assert_all_there_after_power_cut(folder: Path, killed_at: str, acknowledged: int) -> None:
    """The power goes now, and with it everything that was not synced."""
    recorded, disk = Recorded.of(folder), Disk(random.Random(0))
    file = str(recorded.data / killed_at)
    for item in recorded.items:
        if isinstance(item, Start) and disk.now:
            assert disk.durable.get(file) != disk.now[file], "all was synced, so nothing was shown"
        disk.happened(item)
    rebuilt = Rebuilt.of(folder / "cut", recorded.data, disk.durable)
    await rebuilt.recover()
    verdict = judge(recorded.clients, duckdb_rows(rebuilt))
    assert verdict.is_clean, verdict
    assert verdict.acknowledged == acknowledged


def _delivered(server: Server) -> None:
    until(lambda: not waiting(server), 20, "rows still wait")


def _dies_at_sync_of(file: str, server: Server, disk: preload.Disk, *trouble: str) -> None:
    """It is started again, on a disk with this trouble."""
    server.process.wait(20)
    assert disk.hits == [f"sync KILL {file}"]
    disk.fail(*trouble)
    server.start_again()


@pytest.mark.long
async def test_a_batch_that_the_stores_log_never_synced_does_not_count_as_stored(tmp_path: Path) -> None:
    with on_disk(tmp_path) as (server, disk):
        assert post(server, made(EVENTS, 100))
        _delivered(server)
        disk.fail("sync KILL tracker.duckdb.wal")
        assert post(server, made(EVENTS, 100))
        _dies_at_sync_of("tracker.duckdb.wal", server, disk)
        _delivered(server)
        server.kill()
    await _assert_all_there_after_power_cut(tmp_path, "tracker.duckdb.wal", 2 * EVENTS)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param((), id="a well disk"),
        pytest.param(FULL_AND_STORE_AWAY, id="a full disk"),
    ],
)
@pytest.mark.long
async def test_a_retry_of_a_commit_that_was_never_synced_is_acknowledged_only_when_it_is(
    tmp_path: Path, trouble: tuple[str, ...]
) -> None:
    with on_disk(tmp_path) as (server, disk):
        assert post(server, made(EVENTS, 100))
        disk.fail("sync KILL spool.db-wal")
        events = made(EVENTS, 100)
        assert not post(server, events)
        _dies_at_sync_of("spool.db-wal", server, disk, *trouble)
        until(lambda: set(trouble) <= set(disk.hits), 20, "nothing failed")
        assert post(server, events)
        server.kill()
    await _assert_all_there_after_power_cut(tmp_path, "spool/spool.db-wal", 2 * EVENTS)
