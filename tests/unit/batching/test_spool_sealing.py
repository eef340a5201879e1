"""Batches: where they are cut, that their bytes never change, how they are split, and what a crash leaves."""

from pathlib import Path

import pytest

from tests.support.spools import NOW, check, deliver_all, entry, names, open_spool, seal
from tracker.batching.spool import Spool
from tracker.errors import TrackerError


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Ten rows in chunks of 4, 1 and 5."""
    spool = open_spool(tmp_path, "a")
    for numbers in (range(4), range(4, 5), range(5, 10)):
        spool.commit([entry(n) for n in numbers], NOW + numbers.start)
    return spool


@pytest.mark.parametrize("rows", range(1, 12))
def test_batches_are_cut_at_the_row_limit_also_inside_chunks(spool: Spool, rows: int) -> None:
    sizes, delivered = [], []
    while sealed := spool.seal("a", "events", rows, 10_000, NOW):
        delivered += names(spool.load(sealed).data)
        sizes.append(sealed.rows)
        check(spool)
    assert delivered == [str(n) for n in range(10)]
    assert set(sizes[:-1]) <= {rows}
    spool.close()


@pytest.mark.parametrize("size", [1, 9, 10, 17, 18, 19, 35, 36, 44, 45, 46, 89, 90, 1000])
def test_batches_are_cut_at_the_byte_limit_but_have_a_row(spool: Spool, size: int) -> None:
    delivered = []
    while sealed := spool.seal("a", "events", 1000, size, NOW):
        data = spool.load(sealed).data
        assert len(data) <= size or sealed.rows == 1
        delivered += names(data)
    assert delivered == [str(n) for n in range(10)]
    check(spool)
    spool.close()


def test_waiting_bytes_and_age_follow_the_cuts(spool: Spool) -> None:
    line = len(b'{"n":"0"}\n')
    seen = []
    for _ in range(4):
        backlog = spool.memory.backlogs["a", "events"]
        seen.append((backlog.rows, backlog.bytes, backlog.oldest_at))
        spool.seal("a", "events", 3, 1000, NOW)
    assert seen == [(10, 10 * line, NOW), (7, 7 * line, NOW), (4, 4 * line, NOW + 5), (1, line, NOW + 5)]
    assert spool.memory.backlogs["a", "events"].rows == 0
    spool.close()


def test_waiting_bytes_and_age_are_the_same_after_a_restart(tmp_path: Path, spool: Spool) -> None:
    for _ in range(4):
        spool.seal("a", "events", 3, 1000, NOW)
        before = spool.memory.backlogs
        spool.close()
        spool = open_spool(tmp_path, "a")
        assert spool.memory.backlogs == before
    spool.close()


def test_a_batch_has_the_same_bytes_at_each_load_whatever_happens_around(
    tmp_path: Path, spool: Spool
) -> None:
    first, second = seal(spool, rows=3), seal(spool, rows=3)
    bytes_of_second = spool.load(second).data
    spool.commit([entry("later")], NOW)
    spool.finish(first)
    while spool.housekeep(NOW):
        pass
    assert spool.load(second).data == bytes_of_second
    spool.close()
    spool = open_spool(tmp_path, "a")
    (again,) = spool.unfinished("a")
    assert (again.id, again.is_repeat) == (second.id, True)
    assert spool.load(again).data == bytes_of_second
    assert spool.load(again).is_repeat
    spool.close()


def test_unfinished_batches_come_back_once_and_in_order(tmp_path: Path, spool: Spool) -> None:
    ids = [seal(spool, rows=2).id for _ in range(3)]
    spool.close()
    spool = open_spool(tmp_path, "a")
    assert [sealed.id for sealed in spool.unfinished("a")] == ids
    assert seal(spool, rows=2).id not in ids
    spool.close()


def test_finishing_twice_counts_once(spool: Spool) -> None:
    sealed = seal(spool, rows=4)
    spool.finish(sealed)
    spool.finish(sealed)
    (total,) = spool.totals()
    assert (total.delivered, total.waiting) == (4, 6)
    spool.close()


def test_rejected_rows_are_put_aside_and_the_rest_is_a_child(spool: Spool) -> None:
    parent = seal(spool)
    child = spool.reject(parent, {0: "first", 4: "middle", 9: "last"}, NOW)
    assert child is not None
    assert child.id != parent.id
    assert (child.first, child.last, child.skipped) == (2, 9, frozenset({5}))
    assert names(spool.load(child).data) == ["1", "2", "3", "5", "6", "7", "8"]
    with pytest.raises(TrackerError, match="not in the spool"):
        spool.load(parent)
    check(spool)
    spool.close()


def test_positions_of_a_child_are_its_own(spool: Spool) -> None:
    child = spool.reject(seal(spool), {1: "x", 2: "x"}, NOW)
    assert child is not None
    grandchild = spool.reject(child, {1: "y"}, NOW)
    assert grandchild is not None
    assert names(spool.load(grandchild).data) == ["0", "4", "5", "6", "7", "8", "9"]
    check(spool)
    spool.close()


def test_a_batch_of_which_every_row_is_rejected_is_gone(spool: Spool) -> None:
    sealed = seal(spool, rows=2)
    assert spool.reject(sealed, {0: "x", 1: "x"}, NOW) is None
    assert [total.dead for total in spool.totals()] == [2]
    assert spool.reject(sealed, {0: "x", 1: "x"}, NOW) is None
    check(spool)
    spool.close()


def test_halves_of_halves_end_in_single_rows_in_order(spool: Spool) -> None:
    child = spool.reject(seal(spool), {3: "x", 7: "x"}, NOW)
    assert child is not None
    pending, singles = [child], []
    while pending:
        batch = pending.pop(0)
        if batch.rows == 1:
            singles += names(spool.load(batch).data)
        else:
            pending = [*spool.halve(batch, NOW), *pending]
        check(spool)
    assert singles == ["0", "1", "2", "4", "5", "6", "8", "9"]
    spool.close()


def test_asking_again_for_a_split_gives_the_same_children(spool: Spool) -> None:
    parent = seal(spool, rows=4)
    assert spool.halve(parent, NOW) == spool.halve(parent, NOW)
    other = seal(spool, rows=4)
    assert spool.reject(other, {1: "x"}, NOW) == spool.reject(other, {1: "x"}, NOW)
    assert [total.dead for total in spool.totals()] == [1]
    check(spool)
    spool.close()


def test_a_single_row_cannot_be_halved_and_positions_must_be_in_the_batch(spool: Spool) -> None:
    sealed = seal(spool, rows=1)
    with pytest.raises(TrackerError, match="cannot be halved"):
        spool.halve(sealed, NOW)
    for reasons in ({}, {1: "x"}, {-1: "x"}):
        with pytest.raises(TrackerError, match="positions"):
            spool.reject(sealed, reasons, NOW)
    check(spool)
    spool.close()


def test_a_crash_between_any_two_steps_of_a_split_loses_and_doubles_nothing(
    tmp_path: Path, spool: Spool
) -> None:
    delivered: list[str] = []

    def restart() -> None:
        nonlocal spool
        spool.close()
        spool = open_spool(tmp_path, "a")
        check(spool)

    seal(spool)
    restart()
    (parent,) = spool.unfinished("a")
    spool.halve(parent, NOW)
    restart()
    left, right = spool.unfinished("a")
    spool.reject(left, {0: "x"}, NOW)
    restart()
    for sealed in spool.unfinished("a"):
        delivered += names(spool.load(sealed).data)
        spool.finish(sealed)
        restart()
        spool.unfinished("a")
    assert sorted(delivered) == [str(n) for n in range(1, 10)]
    assert right.first == 6
    spool.close()


def test_a_batch_given_back_is_handed_out_again(spool: Spool) -> None:
    sealed = seal(spool, rows=3)
    spool.give_back([sealed])
    assert spool.memory.unclaimed["a", "events"][0] == 3
    assert seal(spool, rows=1) == sealed
    assert not spool.memory.unclaimed
    spool.close()


def test_a_backlog_of_many_small_chunks_drains_in_large_batches(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    for n in range(500):
        spool.commit([entry(n)], NOW)
    sealed = seal(spool, rows=400)
    assert names(spool.load(sealed).data) == [str(n) for n in range(400)]
    assert deliver_all(spool) == [str(n) for n in range(400, 500)]
    spool.close()
