"""The power goes at many moments of a load: what was acknowledged until then is stored exactly once."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.reliability.campaign import until
from tests.reliability.powerloss.cuts import Cuts, Recorded, cut
from tests.reliability.powerloss.disk import Disk
from tests.reliability.powerloss.loads import clients, made, on_disk, post, waiting
from tests.reliability.powerloss.recording import Kind, Record, Start
from tests.reliability.powerloss.recovery import Rebuilt
from tests.reliability.powerloss.tails import Fate, Luck
from tests.support.server import Server
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.spool import Spool

SEED = int(os.environ.get("SEED") or random.randrange(2**32))
LARGE_REQUESTS, LARGE_EVENTS, LARGE_BYTES = 60, 50, 20_000
"""More than the size at which DuckDB's log goes into its file while it runs."""


def _load(server: Server, seconds: float, starts: int) -> None:
    """Load, then kill -9 and load again; after the last one a clean stop, so that all is in the files."""
    with clients(server, SEED):
        for _ in range(starts - 1):
            time.sleep(seconds)
            server.kill()
            server.start_again()
        time.sleep(seconds)
    until(lambda: not waiting(server), 60, "rows still wait")
    assert server.stop() == 0


def _record(folder: Path, seconds: float, starts: int, durability: str = "power-loss") -> Recorded:
    with on_disk(folder, durability) as (server, _):
        _load(server, seconds, starts)
    return Recorded.of(folder)


def _syncs(recorded: Recorded, file: str) -> int:
    return sum(
        isinstance(item, Record) and item.kind is Kind.SYNC_END and item.path.endswith(file)
        for item in recorded.items
    )


def _assert_nothing_lost(cuts: Cuts) -> None:
    print(f"SEED={SEED} {cuts}")
    assert not cuts.bad, cuts.bad[:3]
    assert not cuts.put_aside, cuts.put_aside
    assert cuts.owed, "nothing was acknowledged before any cut, so nothing was shown"
    assert cuts.fate.lost + cuts.fate.lost_changes, "nothing was ever lost in a cut, so nothing was shown"
    assert cuts.fate.torn, "no write was ever torn"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A load with a kill in its middle."""
    return _record(tmp_path_factory.mktemp("short"), 0.6, 2)


def test_the_recorder_sees_all_that_reaches_the_files(short: Recorded) -> None:
    disk = Disk(random.Random(SEED))
    for item in short.items:
        disk.happened(item)
    files = {
        str(path): path.read_bytes()
        for path in short.data.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }
    assert disk.now == files
    assert {Path(path).name for path in files} >= {"spool.db", "tracker.duckdb"}
    assert sum(isinstance(item, Start) for item in short.items) == 2
    for file in ("spool.db", "spool.db-wal", "tracker.duckdb", "tracker.duckdb.wal"):
        assert _syncs(short, file), f"{file} was never synced"


@pytest.mark.long
async def test_a_power_cut_under_load_loses_and_doubles_nothing(short: Recorded, tmp_path: Path) -> None:
    _assert_nothing_lost(await cut(short, SEED, 3, 2, tmp_path))


@pytest.mark.long
def test_a_spool_that_was_half_made_when_the_power_went_is_no_damage(short: Recorded, tmp_path: Path) -> None:
    disk, cuts = Disk(random.Random(SEED)), 0
    for item in short.items:
        disk.happened(item)
        if isinstance(item, Record) and item.kind is Kind.CREATE and item.path.endswith(".duckdb.new"):
            break
        if isinstance(item, Record) and item.kind is not Kind.WRITE:
            for luck in (Luck.NONE, Luck.HALF):
                rebuilt = Rebuilt.of(tmp_path / "cut", short.data, disk.after_power_cut(Fate(), luck))
                Spool.open(rebuilt.folder / "data" / "spool", durability="process-crash").close()
                assert not rebuilt.is_put_aside, (item, luck)
                shutil.rmtree(rebuilt.folder)
                cuts += 1
    assert cuts > 20


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A load with several kills, in which the spool's log goes into its file again and again."""
    return _record(tmp_path_factory.mktemp("long"), 1.0, 4)


@pytest.mark.long
@pytest.mark.parametrize("part", range(6))
async def test_a_power_cut_at_any_of_many_moments_loses_and_doubles_nothing(
    long: Recorded, tmp_path: Path, part: int
) -> None:
    cuts = await cut(long, SEED + part, 7, 3, tmp_path)
    _assert_nothing_lost(cuts)
    assert _syncs(long, "spool.db") >= 4, "the spool's log was hardly ever moved"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """So much data that DuckDB's log goes into its file while it runs; then a kill."""
    folder = tmp_path_factory.mktemp("large")
    with on_disk(folder) as (server, _):
        for _ in range(LARGE_REQUESTS):
            assert post(server, made(LARGE_EVENTS, LARGE_BYTES))
        until(lambda: not waiting(server), 60, "rows still wait")
        server.kill()
    return Recorded.of(folder)


@pytest.mark.long
async def test_a_power_cut_around_a_checkpoint_of_the_store_loses_and_doubles_nothing(
    large: Recorded, tmp_path: Path
) -> None:
    ended = [item.path for item in large.items if isinstance(item, Record) and item.kind is Kind.UNLINK]
    assert str(large.data / "tracker.duckdb.wal") in ended, "the store's log never ended in its file"
    _assert_nothing_lost(await cut(large, SEED, 6, 3, tmp_path))


@pytest.mark.long
async def test_without_the_sync_before_the_answer_the_judge_reports_losses(tmp_path: Path) -> None:
    recorded = _record(tmp_path / "load", 1.0, 1, "process-crash")
    try:
        cuts = await cut(recorded, SEED, 8, 2, tmp_path)
    except SpoolDamaged:  # the loss is in the middle of a batch: delivery itself reports it
        return
    assert any(verdict.missing for _, verdict in cuts.bad), cuts
