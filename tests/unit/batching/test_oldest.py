"""Since when the spool holds anything that may still reach a store."""

from pathlib import Path

from tests.support.spools import NOW, open_spool, seal
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.oldest import oldest_row
from tracker.batching.spool import Spool
from tracker.events import Entry, Row

OLD = "2026-11-22 03:00:00.500Z"
OLD_SECONDS = 1_795_316_400


def old_row(created: str = OLD) -> Entry:
    return Entry((Row("events", b'{"created_at":"%s"}' % created.encode()),))


def put_aside(spool: Spool) -> None:
    """Every row that waits becomes a dead letter."""
    sealed = seal(spool)
    spool.reject(sealed, dict.fromkeys(range(sealed.rows), "refused"), NOW + 50)


def test_an_empty_spool_holds_nothing_back(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    assert spool.ask(oldest_row) is None
    spool.commit([old_row()], NOW)
    assert len(deliver_all_lines(spool)) == 1
    while spool.housekeep(NOW):
        pass
    assert spool.ask(oldest_row) is None


def deliver_all_lines(spool: Spool) -> list[bytes]:
    sealed = seal(spool)
    data = spool.load(sealed).data
    spool.finish(sealed)
    return data.splitlines()


def test_a_row_that_waits_or_is_sealed_counts_from_its_commit(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([old_row()], NOW)
    spool.commit([old_row()], NOW + 9)
    assert spool.ask(oldest_row) == NOW
    seal(spool)
    assert spool.ask(oldest_row) == NOW


def test_a_dead_letter_counts_from_when_its_row_was_made(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([old_row()], NOW)
    put_aside(spool)
    while spool.housekeep(NOW):
        pass
    assert spool.ask(oldest_row) == OLD_SECONDS


def test_what_cannot_be_dated_is_as_old_as_can_be(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([Entry((Row("events", b"no json"),))], NOW)
    put_aside(spool)
    while spool.housekeep(NOW):
        pass
    assert spool.ask(oldest_row) == 0
    spool.replay(None, DeadFilter(), NOW)
    assert spool.ask(oldest_row) == 0
    assert deliver_all_lines(spool) == [b"no json"]
    assert spool.ask(oldest_row) is None
