"""Dead letters: kept with their reason, found, replayed so that they take effect once, dropped for good."""

from pathlib import Path

import pytest

from tests.support.spools import NOW, check, deliver_all, entry, names, open_spool, seal
from tracker.batching.dead_letters import REPLAY_ROWS, DeadFilter, summarise
from tracker.batching.spool import Spool

ALL = DeadFilter()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Six rows delivered to `a` but for the first, third and fifth, which are dead."""
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry(n) for n in range(6)], NOW)
    child = spool.reject(seal(spool), {0: "bad date", 2: "bad number", 4: "bad date"}, NOW + 1)
    assert child is not None
    spool.finish(child)
    return spool


def test_a_dead_letter_keeps_row_reason_sink_batch_and_time(spool: Spool) -> None:
    first = spool.dead_letters(ALL)[0]
    letter = spool.dead_letter(first.id)
    assert letter is not None
    assert (letter.sink, letter.table, letter.reason, letter.at) == ("a", "events", "bad date", NOW + 1)
    assert letter.line == b'{"n":"0"}'
    assert letter.size == len(letter.line)
    assert spool.dead_letter(99) is None
    spool.close()


def test_dead_letters_are_found_by_sink_table_reason_and_number(spool: Spool) -> None:
    assert len(spool.dead_letters(DeadFilter(reason="date"))) == 2
    assert len(spool.dead_letters(DeadFilter(sink="a", table="events"))) == 3
    assert spool.dead_letters(DeadFilter(sink="b")) == []
    assert len(spool.dead_letters(ALL, limit=2)) == 2
    assert spool.ask(summarise) == {("a", "events"): (3, 3 * len(b'{"n":"0"}'))}
    spool.close()


def test_dead_letters_outlive_their_chunks_and_a_restart(tmp_path: Path, spool: Spool) -> None:
    deliver_all(spool, "b")
    while spool.housekeep(NOW):
        pass
    assert spool.verify().chunks == 0
    spool.close()
    spool = open_spool(tmp_path, "a", "b")
    assert [letter.reason for letter in spool.dead_letters(ALL)] == ["bad date", "bad number", "bad date"]
    assert (spool.state().live_bytes, spool.state().dead_bytes) == (0, 3 * len(b'{"n":"0"}'))
    check(spool)
    spool.close()


def test_replayed_rows_wait_again_and_are_sealed_next(spool: Spool) -> None:
    spool.commit([entry("later")], NOW)
    chosen = [letter.id for letter in spool.dead_letters(DeadFilter(reason="date"))]
    (made,) = spool.replay(chosen, ALL, NOW)
    check(spool)
    assert seal(spool) == made
    assert names(spool.load(made).data) == ["0", "4"]
    spool.finish(made)
    assert deliver_all(spool) == ["later"]
    totals = [total for total in spool.totals() if total.sink == "a"]
    assert [(total.delivered, total.dead, total.waiting) for total in totals] == [(6, 1, 0)]
    check(spool)
    spool.close()


def test_a_replayed_batch_survives_a_crash_with_the_same_bytes(tmp_path: Path, spool: Spool) -> None:
    (made,) = spool.replay(None, ALL, NOW)
    data = spool.load(made).data
    spool.close()
    spool = open_spool(tmp_path, "a", "b")
    check(spool)
    (again,) = spool.unfinished("a")
    assert (again.id, spool.load(again).data) == (made.id, data)
    spool.close()


def test_a_replayed_batch_splits_and_dies_like_any_other(spool: Spool) -> None:
    spool.replay(None, ALL, NOW)
    left, right = spool.halve(seal(spool), NOW)
    check(spool)
    assert (names(spool.load(left).data), names(spool.load(right).data)) == (["0"], ["2", "4"])
    child = spool.reject(right, {0: "still bad"}, NOW)
    assert child is not None
    assert names(spool.load(child).data) == ["4"]
    assert spool.reject(child, {0: "bad too"}, NOW) is None
    spool.finish(left)
    assert [letter.reason for letter in spool.dead_letters(ALL)] == ["still bad", "bad too"]
    check(spool)
    spool.close()


def test_many_dead_letters_are_replayed_in_bounded_batches(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(n) for n in range(REPLAY_ROWS + 1)], NOW)
    spool.reject(seal(spool), dict.fromkeys(range(REPLAY_ROWS + 1), "x"), NOW)
    assert [sealed.rows for sealed in spool.replay(None, ALL, NOW)] == [REPLAY_ROWS, 1]
    assert deliver_all(spool) == [str(n) for n in range(REPLAY_ROWS + 1)]
    check(spool)
    spool.close()


def test_dropped_dead_letters_are_gone_and_counted(spool: Spool) -> None:
    assert spool.drop_dead(None, DeadFilter(reason="number")) == 1
    (total,) = [total for total in spool.totals() if total.sink == "a"]
    assert (total.dead, dict(total.dropped)) == (2, {"by_command": 1})
    assert spool.drop_dead([99], ALL) == 0
    check(spool)
    spool.close()
