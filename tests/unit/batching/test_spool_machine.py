"""Whatever happens in whatever order, every row is in exactly one place and takes effect once per sink.

A state machine drives a real spool with two sinks; opening again, a full disk and a sink that leaves are
steps like any other. Conservation and the file's soundness hold after every step.
"""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.spools import NOW, check, client_id, entry, names, open_spool
from tracker.batching.contract import Sealed
from tracker.batching.dead_letters import DeadFilter
from tracker.errors import CannotStore
from tracker.events import Entry

SINKS = ("a", "b")
TABLES = ("events", "hosts")


class SpoolMachine(RuleBasedStateMachine):
    """`owed` is what each sink is to get, `effects` what took effect there, `open` what delivery works on."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-machine-"))
        self.attached: tuple[str, ...] = SINKS
        self.owed: dict[str, list[str]] = {sink: [] for sink in SINKS}
        self.effects: dict[str, list[str]] = {sink: [] for sink in SINKS}
        self.open: dict[str, tuple[Sealed, bytes]] = {}
        self.ids: set[int] = set()
        self.number = 0
        self._start()

    def _start(self) -> None:
        self.spool = open_spool(self.folder, *self.attached, durability="memory", chunk_bytes=60)

    def _commit(self, entries: list[Entry]) -> tuple[int, ...]:
        stored = self.spool.commit(entries, NOW + self.number)
        for at, one in enumerate(entries):
            if at not in stored.retries:
                for sink in self.attached:
                    self.owed[sink] += [names(row.line)[0] for row in one.rows]
        return stored.retries

    def _take(self, sealed: Sealed) -> None:
        """Delivery gets a batch: one it never had, with the bytes it always had."""
        self.open[sealed.id] = (sealed, self.spool.load(sealed).data)

    @rule(tables=st.lists(st.sampled_from(TABLES), min_size=1, max_size=8))
    def commit(self, tables: list[str]) -> None:
        self.number += 10
        self._commit([entry(self.number + at, table) for at, table in enumerate(tables)])

    @rule(numbers=st.lists(st.integers(0, 6), min_size=1, max_size=5))
    def commit_with_client_ids(self, numbers: list[int]) -> None:
        new = {n for n in numbers if n not in self.ids}
        retries = self._commit([entry(f"id{n}", client_id=client_id(n)) for n in numbers])
        assert len(numbers) - len(retries) == len(new)
        self.ids |= new

    @rule()
    def commit_on_a_full_disk(self) -> None:
        db = self.spool.database.connection()
        db.execute("PRAGMA max_page_count = 1")  # SQLite makes it the present size
        self.number += 10
        with suppress(CannotStore):  # free pages inside the file may be enough
            self._commit([entry(f"{self.number} " + "x" * 9000)])
        db.execute("PRAGMA max_page_count = 1000000")

    @rule(
        sink=st.sampled_from(SINKS),
        table=st.sampled_from(TABLES),
        rows=st.integers(1, 9),
        size=st.integers(1, 90),
    )
    def seal(self, sink: str, table: str, rows: int, size: int) -> None:
        sealed = self.spool.seal(sink, table, rows, size, NOW)
        if sealed is not None:
            assert sealed.id not in self.open
            self._take(sealed)

    def _draw(self, data: st.DataObject) -> tuple[Sealed, bytes]:
        sealed, line = self.open.pop(data.draw(st.sampled_from(sorted(self.open))))
        assert self.spool.load(sealed).data == line
        return sealed, line

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        sealed, lines = self._draw(data)
        self.spool.finish(sealed)
        self.effects[sealed.sink] += names(lines)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        sealed, lines = self._draw(data)
        positions = data.draw(st.sets(st.integers(0, sealed.rows - 1), min_size=1))
        child = self.spool.reject(sealed, dict.fromkeys(positions, "bad"), NOW)
        kept = [line for at, line in enumerate(lines.splitlines(True)) if at not in positions]
        assert (child is None) == (not kept)
        if child is not None:
            self._take(child)
            assert self.open[child.id][1] == b"".join(kept)

    @precondition(lambda self: any(sealed.rows > 1 for sealed, _ in self.open.values()))
    @rule(data=st.data())
    def halve(self, data: st.DataObject) -> None:
        large = sorted(batch_id for batch_id, (sealed, _) in self.open.items() if sealed.rows > 1)
        sealed, lines = self.open.pop(data.draw(st.sampled_from(large)))
        halves = self.spool.halve(sealed, NOW)
        for half in halves:
            self._take(half)
        assert b"".join(self.open[half.id][1] for half in halves) == lines

    @rule(only=st.sampled_from([None, "events", "hosts"]))
    def replay(self, only: str | None) -> None:
        self.spool.replay(None, DeadFilter(table=only), NOW)

    @rule()
    def housekeep(self) -> None:
        self.spool.housekeep(NOW + self.number)

    @rule(sinks=st.sampled_from([SINKS, ("a",), ("b",)]))
    def reopen(self, sinks: tuple[str, ...]) -> None:
        """As after a crash: what was sealed comes back with the same bytes, marked as a repeat."""
        self.spool.close()
        self.attached = sinks
        self._start()
        for sink in SINKS:
            for sealed in self.spool.unfinished(sink):
                assert sealed.is_repeat
                before = self.open.get(sealed.id)
                self._take(sealed)
                assert before is None or before[1] == self.open[sealed.id][1]

    @rule()
    def lose_the_connection(self) -> None:
        self.spool.database.connection().close()
        with suppress(CannotStore):
            self.spool.commit([entry("never stored")], NOW)

    @invariant()
    def everything_is_accounted_for(self) -> None:
        check(self.spool)

    def teardown(self) -> None:
        """Deliver what is left; every row owed is then done or dead, and nothing else is."""
        for sealed, lines in self.open.values():
            self.spool.finish(sealed)
            self.effects[sealed.sink] += names(lines)
        for sink in SINKS:
            for table in TABLES:
                while sealed_now := self.spool.seal(sink, table, 5, 1000, NOW):
                    self.effects[sink] += names(self.spool.load(sealed_now).data)
                    self.spool.finish(sealed_now)
            letters = self.spool.dead_letters(DeadFilter(sink=sink), limit=-1)
            shown = [self.spool.dead_letter(letter.id) for letter in letters]
            dead = [names(letter.line)[0] for letter in shown if letter and letter.line]
            assert sorted(self.effects[sink] + dead) == sorted(self.owed[sink])
        while self.spool.housekeep(NOW):
            pass
        verdict = self.spool.verify()
        assert (verdict.is_sound, verdict.chunks, verdict.batches) == (True, 0, 0)
        self.spool.close()
        shutil.rmtree(self.folder)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
