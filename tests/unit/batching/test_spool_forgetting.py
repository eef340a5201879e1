"""Rows that must go leave the spool wherever they wait; everything else stays as it was, and is counted."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.forgetting import Everything, Named, remove, scrub
from tests.support.spools import NOW, check, deliver_all, entry, names, open_spool, seal
from tests.unit.batching.test_spool_machine import SINKS, TABLES, SpoolMachine
from tracker.batching.contract import Sealed
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool
from tracker.parts import part


def dropped_of(spool: Spool, sink: str = "a", table: str = "events") -> int:
    for total in spool.totals():
        if (total.sink, total.table) == (sink, table):
            assert total.difference == 0
            return total.dropped.get("forgotten", 0)
    return 0


def test_rows_not_sealed_yet_go_and_the_others_keep_their_bytes(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry(f"r{n}") for n in range(10)], NOW)
    assert seal(spool, "a", rows=3).rows == 3

    dropped, left = remove(spool, Named("r0", "r4", "r5", "r9"))

    check(spool)
    assert (dict(dropped), left) == ({("a", "events"): 3, ("b", "events"): 4}, 1)
    assert (dropped_of(spool, "a"), dropped_of(spool, "b")) == (3, 4)
    assert deliver_all(spool, "b") == ["r1", "r2", "r3", "r6", "r7", "r8"]
    check(spool)
    spool.close()


def test_what_waits_is_as_many_bytes_as_its_lines_have(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(f"r{n}") for n in range(10)], NOW)
    seal(spool, rows=3)
    remove(spool, Named("r4"))
    (line,) = entry("r0").rows
    assert spool.memory.backlogs["a", "events"].bytes == 6 * (len(line.line) + 1)
    assert seal(spool, size=2 * (len(line.line) + 1)).rows == 1  # up to the gap
    assert seal(spool, size=2 * (len(line.line) + 1)).rows == 2
    spool.close()


def test_a_batch_that_may_have_been_sent_keeps_its_bytes_until_it_is_done(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(f"r{n}") for n in range(4)], NOW)
    sealed = seal(spool, rows=2)
    before = spool.load(sealed)

    assert remove(spool, Named("r1", "r3")) == ({("a", "events"): 1}, 1)
    assert spool.load(sealed) == before
    spool.finish(sealed)

    assert remove(spool, Named("r1", "r3")) == ({}, 0)
    check(spool)
    assert deliver_all(spool) == ["r2"]
    spool.close()


def test_a_batch_that_never_was_sent_is_cut_anew_under_another_id(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(f"r{n}") for n in range(4)], NOW)
    first, second = spool.halve(seal(spool), NOW)

    assert remove(spool, Named("r0", "r2", "r3")) == ({("a", "events"): 3}, 0)

    check(spool)
    now = spool.begin(first)
    assert now is not None
    assert now.id != first.id
    assert names(spool.load(now).data) == ["r1"]
    assert spool.begin(second) is None
    spool.finish(now)
    check(spool)
    assert dropped_of(spool) == 3
    spool.close()


def test_after_its_first_send_began_a_part_of_a_split_batch_stays(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("r0"), entry("r1")], NOW)
    first, _ = spool.halve(seal(spool), NOW)
    assert spool.begin(first) == first
    spool.close()

    spool = open_spool(tmp_path, "a")  # a later process knows of it too
    assert remove(spool, Named("r0", "r1")) == ({("a", "events"): 1}, 1)
    spool.close()


def test_dead_letters_and_those_sent_again_go(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(f"r{n}") for n in range(4)], NOW)
    spool.reject(seal(spool), dict.fromkeys(range(4), "bad"), NOW)
    letters = spool.dead_letters(DeadFilter())
    spool.replay([letter.id for letter in letters[:2]], DeadFilter(), NOW)

    assert remove(spool, Named("r0", "r3")) == ({("a", "events"): 2}, 0)

    check(spool)
    assert deliver_all(spool) == ["r1"]
    assert [letter.reason for letter in spool.dead_letters(DeadFilter())] == ["bad"]
    assert dropped_of(spool) == 2
    spool.close()


def test_rows_that_only_some_sinks_may_have_go_as_well(tmp_path: Path) -> None:
    class OfEvents(Named):
        def line(self, table: str, line: bytes) -> bytes:
            assert table == "events"
            return super().line(table, line)

    spool, table = open_spool(tmp_path, "a", "b"), part("events", ["a"])
    spool.commit([entry("r0", table), entry("r1", table), entry("r2")], NOW)
    assert remove(spool, OfEvents("r0", "r2")) == (
        {("a", table): 1, ("a", "events"): 1, ("b", "events"): 1},
        0,
    )
    check(spool)
    assert deliver_all(spool, table=table) == ["r1"]
    spool.close()


def test_a_row_may_be_changed_instead(tmp_path: Path) -> None:
    class Shortened(Named):
        def line(self, table: str, line: bytes) -> bytes:
            return line.replace(b"long-r1", b"r1")

    spool = open_spool(tmp_path, "a")
    spool.commit([entry("r0"), entry("long-r1"), entry("r2")], NOW)
    assert remove(spool, Shortened("long-r1")) == ({}, 0)
    check(spool)
    assert deliver_all(spool) == ["r0", "r1", "r2"]
    spool.close()


@pytest.mark.parametrize("log_is_long", [False, True])
def test_nothing_of_it_is_left_in_the_files(tmp_path: Path, log_is_long: bool) -> None:
    spool = open_spool(tmp_path, "a", **({} if log_is_long else {"wal_limit_bytes": 1}))
    for n in range(200):
        spool.commit([entry(f"delivered-secret-{n}-{'s' * 300}"), entry(f"kept-{n}-{'k' * 300}")], NOW)
    deliver_all(spool, rows=7)
    while spool.housekeep(NOW):
        pass
    for n in range(40):
        spool.commit([entry(f"waiting-secret-{n}-{'s' * 300}"), entry(f"kept-{n}-{'k' * 300}")], NOW)
    spool.reject(seal(spool, rows=2), {0: "bad", 1: "bad"}, NOW)

    assert b"secret" in on_disk(tmp_path)
    remove(spool, Everything(b"secret"))
    scrub(spool)

    assert b"secret" not in on_disk(tmp_path)
    check(spool)
    assert len(deliver_all(spool)) == 39
    spool.close()


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))


def test_a_log_that_is_being_read_is_emptied_later(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("r0")], NOW)
    reader = spool.database._files.connect()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM chunks").fetchone()
    spool.commit([entry("r1")], NOW)
    assert not spool.empty_log()
    reader.close()
    assert spool.empty_log()
    spool.close()
    spool = open_spool(tmp_path, "a")
    assert deliver_all(spool) == ["r0", "r1"]
    spool.close()


class ForgettingMachine(SpoolMachine):
    """The spool's machine with rows that must go among its steps, and batches that wait for a first send."""

    def __init__(self) -> None:
        self.later: dict[str, Sealed] = {}
        super().__init__()

    def _start(self) -> None:
        self.later.clear()
        super()._start()

    def _take(self, sealed: Sealed) -> None:
        now = self.spool.begin(sealed)
        assert now == sealed
        super()._take(sealed)

    @precondition(lambda self: any(sealed.rows > 1 for sealed, _ in self.open.values()))
    @rule(data=st.data())
    def halve_and_wait(self, data: st.DataObject) -> None:
        large = sorted(batch_id for batch_id, (sealed, _) in self.open.items() if sealed.rows > 1)
        sealed, _ = self.open.pop(data.draw(st.sampled_from(large)))
        self.later |= {half.id: half for half in self.spool.halve(sealed, NOW)}

    @precondition(lambda self: self.later)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        sealed = self.later.pop(data.draw(st.sampled_from(sorted(self.later))))
        now = self.spool.begin(sealed)
        if now is not None:
            super()._take(now)

    @rule(table=st.sampled_from(TABLES), picks=st.sets(st.integers(0, 30), min_size=1, max_size=4))
    def forget(self, table: str, picks: set[int]) -> None:
        owed = sorted({name for rows in self.owed.values() for name in rows})
        gone = {owed[pick % len(owed)] for pick in picks} if owed else set()
        judge = Named(*gone)
        dropped, left = remove(self.spool, judge)
        under_way = [name for _, lines in self.open.values() for name in names(lines)]
        for sink in SINKS:
            kept = self.effects[sink] + [
                name for sealed, lines in self.open.values() if sealed.sink == sink for name in names(lines)
            ]
            gone_here = [name for name in self.owed[sink] if name in gone and name not in kept]
            assert len(gone_here) == sum(rows for key, rows in dropped.items() if key[0] == sink)
            self.owed[sink] = [name for name in self.owed[sink] if name not in gone_here]
        assert left <= len(gone.intersection(under_way)) * len(SINKS)
        assert left or not gone.intersection(under_way)

    def teardown(self) -> None:
        for sealed in list(self.later.values()):
            now = self.spool.begin(sealed)
            if now is not None:
                super()._take(now)
        super().teardown()


TestForgetting = ForgettingMachine.TestCase
TestForgetting.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
