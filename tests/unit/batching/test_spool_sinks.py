"""Several sinks on one spool: each at its own pace, coming, going and coming back."""

import logging
from pathlib import Path

import pytest

from tests.support.spools import NOW, check, deliver_all, entry, open_spool, seal
from tracker.batching.spool import Spool
from tracker.errors import TrackerError


def _tidy(spool: Spool) -> None:
    while spool.housekeep(NOW):
        pass


def _total(spool: Spool, sink: str) -> tuple[int, int, int]:
    (total,) = [total for total in spool.totals() if (total.sink, total.table) == (sink, "events")]
    return total.accepted, total.delivered, total.waiting


def test_each_sink_goes_at_its_own_pace_and_bytes_are_stored_once(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry(n) for n in range(6)], NOW)
    assert deliver_all(spool, "a") == [str(n) for n in range(6)]
    _tidy(spool)
    assert spool.verify().rows == 6
    assert deliver_all(spool, "b", rows=4) == [str(n) for n in range(6)]
    _tidy(spool)
    assert (spool.verify().rows, spool.state().live_bytes) == (0, 0)
    assert (_total(spool, "a"), _total(spool, "b")) == ((6, 6, 0), (6, 6, 0))
    spool.close()


def test_a_chunk_stays_while_a_sealed_batch_needs_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(n) for n in range(4)], NOW)
    first, second = seal(spool, rows=2), seal(spool, rows=2)
    spool.finish(second)
    _tidy(spool)
    assert spool.verify().rows == 4
    spool.finish(first)
    _tidy(spool)
    assert spool.verify().rows == 0
    spool.close()


def test_a_new_sink_starts_from_now(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("before")], NOW)
    spool.attach_sinks(["a", "b"])
    spool.commit([entry("after"), entry("h", table="hosts")], NOW)
    assert deliver_all(spool, "b") == ["after"]
    assert deliver_all(spool, "b", table="hosts") == ["h"]
    assert deliver_all(spool, "a") == ["before", "after"]
    check(spool)
    spool.close()


def test_rows_acknowledged_before_there_was_any_sink_go_to_the_first(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.commit([entry("early")], NOW)
    _tidy(spool)
    spool.attach_sinks(["a"])
    assert deliver_all(spool, "a") == ["early"]
    check(spool)
    spool.close()


def test_a_removed_sink_keeps_its_backlog_and_gets_nothing_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry("kept")], NOW)
    spool.close()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        spool = open_spool(tmp_path, "a")
    assert "backlog kept for a sink that is not configured" in caplog.messages
    spool.commit([entry("new"), entry("h", table="hosts")], NOW)
    assert deliver_all(spool, "a") == ["kept", "new"]
    _tidy(spool)
    assert _total(spool, "b") == (1, 0, 1)
    deliver_all(spool, "a", table="hosts")
    _tidy(spool)
    assert spool.verify().rows == 1
    check(spool)
    spool.close()


def test_a_sink_that_comes_back_goes_on_with_its_backlog_and_misses_what_was_between(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry("kept"), entry("kept too")], NOW)
    for round_ in range(2):
        spool.attach_sinks(["a"])
        spool.commit([entry(f"missed {round_}"), entry(f"h{round_}", table="hosts")], NOW)
        spool.attach_sinks(["a", "b"])
        spool.commit([entry(f"new {round_}")], NOW)
        check(spool)
        spool.close()
        spool = open_spool(tmp_path, "a", "b")
        check(spool)
    assert deliver_all(spool, "b", rows=1) == ["kept", "kept too", "new 0", "new 1"]
    assert deliver_all(spool, "b", table="hosts") == []
    assert _total(spool, "b") == (4, 4, 0)
    check(spool)
    spool.close()


def test_a_sink_without_backlog_that_comes_back_steps_over_what_was_between(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry("done")], NOW)
    deliver_all(spool, "b")
    spool.attach_sinks(["a"])
    spool.commit([entry("missed")], NOW)
    deliver_all(spool, "a")
    _tidy(spool)
    assert spool.verify().rows == 0
    spool.attach_sinks(["a", "b"])
    spool.commit([entry("new")], NOW)
    assert deliver_all(spool, "b") == ["new"]
    check(spool)
    spool.close()


def test_a_removed_sinks_backlog_is_dropped_by_command_and_counted(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry(1), entry(2), entry(3)], NOW)
    seal(spool, "b", rows=1)
    with pytest.raises(TrackerError, match="in use"):
        spool.drop_sink("b")
    spool.attach_sinks(["a"])
    assert spool.drop_sink("b") == 3
    (total,) = [total for total in spool.totals() if total.sink == "b"]
    assert (total.accepted, total.waiting, dict(total.dropped)) == (3, 0, {"by_command": 3})
    deliver_all(spool, "a")
    _tidy(spool)
    assert spool.verify().rows == 0
    check(spool)
    spool.close()
    spool = open_spool(tmp_path, "a")
    check(spool)
    assert spool.drop_sink("b") == 0
    spool.close()


def test_dropping_a_sink_that_was_never_known_is_refused(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    with pytest.raises(TrackerError, match="never known"):
        spool.drop_sink("nobody")
    spool.close()


def test_with_no_sink_configured_rows_are_kept_for_those_there_were(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.attach_sinks([])
    spool.commit([entry(1)], NOW)
    _tidy(spool)
    assert deliver_all(spool, "a") == ["1"]
    spool.close()


def test_a_sink_that_left_twice_with_nothing_between_steps_over_both_gaps(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry("kept")], NOW)
    for missed in ("one", "two", "three"):
        spool.attach_sinks(["a"])
        spool.commit([entry(missed)], NOW)
        spool.attach_sinks(["a", "b"])
    spool.commit([entry("new")], NOW)
    assert deliver_all(spool, "b") == ["kept", "new"]
    check(spool)
    spool.close()
