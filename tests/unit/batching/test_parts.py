"""Rows that only some sinks may have: they reach these and no other, whatever happens in whatever order."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.spools import NOW, check, deliver_all, entry, names, open_spool, seal
from tests.unit.batching.test_spool_machine import SINKS, TABLES, SpoolMachine
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.edits import Edit
from tracker.batching.spool import Spool
from tracker.events import Entry, Row
from tracker.parts import is_for, part, table_of

OF_A, OF_B, OF_BOTH = part("events", ["a"]), part("events", ["b"]), part("events", ["b", "a"])
ALL = (*TABLES, OF_A, OF_B, OF_BOTH)
EID = "0199d7a4-0000-7000-8000-0000000000e1"
BARRED = {("a", OF_B), ("b", OF_A)}
sink_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(st.sets(sink_names, min_size=1, max_size=4), sink_names)
def test_a_part_is_for_the_sinks_in_its_name_and_no_others(sinks: set[str], other: str) -> None:
    name = part("events", sinks)
    assert table_of(name) == "events"
    assert all(is_for(name, sink) for sink in sinks)
    assert is_for(name, other) == (other in sinks)
    assert name == part("events", sorted(sinks, reverse=True))


def test_a_table_s_plain_name_is_for_everyone() -> None:
    assert table_of("events") == "events"
    assert is_for("events", "anyone")


def fill(spool: Spool) -> None:
    for number in range(3):
        spool.commit([entry(f"{table}-{number}", table) for table in ("events", OF_A, OF_BOTH)], NOW)


def counted(spool: Spool) -> dict[tuple[str, str], tuple[int, int]]:
    """Rows accepted and waiting, by sink and table."""
    return {(one.sink, one.table): (one.accepted, one.waiting) for one in spool.totals()}


def test_rows_wait_for_those_who_may_have_them_and_are_accepted_by_no_other(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    fill(spool)
    expected = {("a", "events"), ("b", "events"), ("a", OF_A), ("a", OF_BOTH), ("b", OF_BOTH)}
    assert counted(spool) == dict.fromkeys(expected, (3, 3))
    assert spool.seal("b", OF_A, 9, 999, NOW) is None
    check(spool)
    spool.close()
    spool = open_spool(tmp_path, "a", "b")
    assert counted(spool) == dict.fromkeys(expected, (3, 3))
    assert deliver_all(spool, "a", OF_A) == [f"{OF_A}-{number}" for number in range(3)]
    assert deliver_all(spool, "b", OF_BOTH) == deliver_all(spool, "a", OF_BOTH)
    check(spool)
    spool.close()


def test_a_store_is_given_the_table_and_told_the_part(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    fill(spool)
    whole, some = (spool.load(seal(spool, "a", table=table)) for table in ("events", OF_A))
    assert (whole.table, whole.part, whole.lane) == ("events", "", "events")
    assert (some.table, some.part, some.lane) == ("events", "@a", OF_A)
    spool.close()


def test_a_sink_that_comes_later_gets_nothing_that_is_not_for_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    fill(spool)
    spool.attach_sinks(["a", "b"])
    spool.commit([entry("late", OF_A)], NOW)
    spool.commit([entry("both", OF_BOTH)], NOW)
    assert deliver_all(spool, "b", OF_A) == []
    assert deliver_all(spool, "b", OF_BOTH) == ["both"]
    check(spool)
    spool.close()


def test_a_dead_letter_of_a_part_can_be_edited_and_waits_again_for_its_sink_alone(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([Entry((Row(OF_A, b'{"eid":"%s","ename":"bad"}' % EID.encode()),))], NOW)
    spool.reject(seal(spool, "a", table=OF_A), {0: "bad"}, NOW)
    letter = spool.dead_letter(spool.dead_letters(DeadFilter(table=OF_A))[0].id)
    assert letter is not None and letter.line is not None
    line = Edit('[{"op": "replace", "path": "/ename", "value": "good"}]').apply(letter.table, letter.line)
    spool.replay([letter.id], DeadFilter(), NOW, {letter.id: line})
    assert spool.seal("b", OF_A, 9, 999, NOW) is None
    batch = spool.load(seal(spool, "a", table=OF_A))
    assert (batch.table, b'"ename":"good"' in batch.data) == ("events", True)
    check(spool)
    spool.close()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_saved_of_a_damaged_file_stays_with_those_who_may_have_it(tmp_path: Path, seed: int) -> None:
    spool = open_spool(tmp_path, "a", "b")
    for number in range(60):
        spool.commit([entry(f"{table}-{number}-{'x' * 300}", table) for table in ALL], NOW)
    seal(spool, "a", 7, table=OF_A)
    spool.close()
    file = tmp_path / "spool.db"
    data, dice = bytearray(file.read_bytes()), random.Random(seed)
    for _ in range(20):
        data[dice.randrange(4096, len(data))] ^= 0xFF
    file.write_bytes(data)
    (tmp_path / "in-use").touch()
    spool = open_spool(tmp_path, "a", "b")
    check(spool)
    assert not BARRED & counted(spool).keys()
    got = {sink: {name for table in ALL for name in deliver_all(spool, sink, table)} for sink in SINKS}
    assert got["a"] and got["b"]
    assert not any(name.startswith(f"{OF_B}-") for name in got["a"])
    assert not any(name.startswith(f"{OF_A}-") for name in got["b"])
    spool.close()


class PartsMachine(SpoolMachine):
    """The spool's machine, with rows that one sink, or both, may have."""

    def _commit(self, entries: list[Entry]) -> tuple[int, ...]:
        stored = self.spool.commit(entries, NOW + self.number)
        for at, one in enumerate(entries):
            if at not in stored.retries:
                for row in one.rows:
                    for sink in self.attached:
                        self.owed[sink] += names(row.line) if (sink, row.table) not in BARRED else []
        return stored.retries

    @rule(tables=st.lists(st.sampled_from(ALL), min_size=1, max_size=8))
    def commit(self, tables: list[str]) -> None:
        self.number += 10
        self._commit([entry(self.number + at, table) for at, table in enumerate(tables)])

    @rule(
        sink=st.sampled_from(SINKS),
        table=st.sampled_from(ALL),
        rows=st.integers(1, 9),
        size=st.integers(1, 90),
    )
    def seal(self, sink: str, table: str, rows: int, size: int) -> None:
        sealed = self.spool.seal(sink, table, rows, size, NOW)
        if sealed is not None:
            assert (sink, table) not in BARRED
            self._take(sealed)

    def teardown(self) -> None:
        """Parts first; the rest as ever."""
        for sealed, lines in self.open.values():
            self.spool.finish(sealed)
            self.effects[sealed.sink] += names(lines)
        self.open.clear()
        for sink in SINKS:
            for table in ALL:
                self.effects[sink] += deliver_all(self.spool, sink, table, rows=5)
        super().teardown()


TestPartsMachine = PartsMachine.TestCase
TestPartsMachine.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
