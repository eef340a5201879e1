"""A disk that is full or refuses: nothing acknowledged is lost, what makes room goes on, and it heals."""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import disks
from tests.support.disks import fill
from tests.support.spools import NOW, check, deliver_all, entry, names, open_spool, seal
from tracker.batching.spool import Spool
from tracker.batching.spool_files import BALLAST_BYTES
from tracker.errors import CannotStore


def _pages(spool: Spool, limit: int | None = None) -> None:
    """Let SQLite's file have no more pages than it has now: a real SQLITE_FULL."""
    db = spool.database.connection()
    now = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {limit or now}")


def test_a_full_disk_refuses_a_group_and_takes_the_next_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("before")], NOW)
    _pages(spool)
    for _ in range(3):
        with pytest.raises(CannotStore, match="disk full"):
            spool.commit([entry("x" * 10_000)], NOW)
    assert spool.state().failure == "disk full"
    assert caplog.messages.count("spool cannot write") == 1
    _pages(spool, 1_000_000)
    with caplog.at_level(logging.INFO):
        spool.commit([entry("after")], NOW)
    assert spool.state().failure == ""
    assert "spool writes again" in caplog.messages
    assert deliver_all(spool) == ["before", "after"]
    check(spool)
    spool.close()


def test_a_connection_that_fails_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("before")], NOW)
    spool.database.connection().close()
    with pytest.raises(CannotStore, match="disk failing"):
        spool.commit([entry("refused")], NOW)
    spool.commit([entry("after")], NOW)
    assert deliver_all(spool) == ["before", "after"]
    check(spool)
    spool.close()


def test_a_batch_sealed_by_a_transaction_of_unknown_outcome_is_handed_out(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("1")], NOW)
    sealed = seal(spool)
    spool.memory.held.clear()  # as if the commit had been reported as failed
    spool.database.connection().close()
    with pytest.raises(CannotStore):
        spool.commit([entry("2")], NOW)
    assert seal(spool).id == sealed.id
    assert deliver_all(spool) == []
    check(spool)
    spool.close()


def test_a_locked_database_refuses_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.database.connection().execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(tmp_path / "spool.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CannotStore, match="spool busy"):
        spool.commit([entry(1)], NOW)
    other.execute("ROLLBACK")
    other.close()
    spool.commit([entry(2)], NOW)
    assert deliver_all(spool) == ["2"]
    spool.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with disks.small_disk() as folder:
        yield folder


def test_on_a_full_disk_delivery_goes_on_and_makes_room(small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool", "a")
    accepted, number = [], 0
    with pytest.raises(CannotStore, match="disk full"):
        while number < 1000:
            spool.commit([entry(f"{number} " + "x" * 200_000)], NOW)
            accepted.append(str(number))
            number += 1
    assert 5 < number < 1000
    assert spool.state().failure == "disk full"
    check(spool)
    delivered = []
    while sealed := spool.seal("a", "events", 3, 10_000_000, NOW):
        delivered += [name.split()[0] for name in names(spool.load(sealed).data)]
        spool.finish(sealed)
        while spool.housekeep(NOW):
            pass
    assert delivered == accepted
    spool.commit([entry("after")], NOW)
    assert spool.state().failure == ""
    check(spool)
    spool.close()


def test_the_ballast_lets_batches_be_sealed_and_finished_when_nothing_else_fits(small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool", "a")
    spool.commit([entry("x" * 1000) for _ in range(100)], NOW)
    rest = fill(small_disk)
    used = 0
    for _ in range(100):
        spool.finish(seal(spool, rows=1))
        used += not (small_disk / "spool" / "ballast").exists()
    assert used
    with pytest.raises(CannotStore, match="disk full"):
        spool.commit([entry("refused")], NOW)
    rest.unlink()
    spool.commit([entry("after")], NOW)
    assert (small_disk / "spool" / "ballast").stat().st_size == BALLAST_BYTES
    assert deliver_all(spool) == ["after"]
    check(spool)
    spool.close()


def test_a_spool_opens_on_a_full_disk_and_delivers(small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool", "a")
    spool.commit([entry(1)], NOW)
    spool.close()
    fill(small_disk, leave=300_000)
    (small_disk / "spool" / "ballast").unlink()
    (small_disk / "more").write_bytes(b"x" * (BALLAST_BYTES - 4096))
    spool = open_spool(small_disk / "spool")
    with pytest.raises(CannotStore, match="disk full"):
        spool.commit([entry(2)], NOW)
    assert deliver_all(spool) == ["1"]
    check(spool)
    spool.close()


def test_only_what_was_written_says_that_the_disk_is_well_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    _pages(spool)
    with pytest.raises(CannotStore, match="disk full"):
        spool.commit([entry("x" * 10_000)], NOW)
    spool.housekeep(NOW)
    assert spool.state().failure == "disk full"
    _pages(spool, 1_000_000)
    spool.probe()
    assert spool.state().failure == ""
    check(spool)
    spool.close()
