"""Whatever happens to a spool's bytes: it starts, nothing is delivered that was not stored and nothing twice,
and what is lost is counted to the row."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.spools import NOW, check, client_id, entry, names, open_spool, seal
from tracker.batching.contract import Sealed
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool

Key = tuple[str, str]
SINKS, TABLES = ("a", "b"), ("events", "hosts")
KEYS = [(sink, table) for sink in SINKS for table in TABLES]
DB, LOG = "spool.db", "spool.db-wal"


@dataclass
class Truth:
    """A spool's files as a process left them, and what its sinks have."""

    files: dict[str, bytearray] = field(default_factory=dict)
    stored: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in TABLES})
    effects: dict[Key, list[str]] = field(default_factory=lambda: {key: [] for key in KEYS})
    ledger: dict[str, set[str]] = field(default_factory=lambda: {sink: set() for sink in SINKS})
    """Ids of the batches that a sink has."""
    unsure: int = 0
    """Rows of batches that were written and not acknowledged."""


@dataclass
class Outcome:
    """What came of a damaged spool, over all sinks and tables."""

    stored: int = 0
    kept: int = 0
    """Rows that took effect or are dead letters."""
    counted: int = 0
    """Rows that the spool says are lost."""
    doubled: int = 0


class Filling:
    """A spool in the middle of its life: delivered, written and not acknowledged, put aside, replayed, split,
    sealed, and waiting rows, of two tables for two sinks."""

    def __init__(self, folder: Path) -> None:
        self.spool = open_spool(folder, *SINKS, chunk_bytes=3000)
        self.truth = Truth()
        self._number = 0

    def fill(self) -> None:
        self.commit(20, 300)
        self.deliver("a", "events", 8)
        self.deliver("b", "hosts", 3)
        self.commit(20, 9000)
        rejected = self.spool.reject(seal(self.spool, "a", rows=6), {1: "bad", 4: "bad"}, NOW)
        assert rejected is not None
        self.write(rejected)
        self.spool.halve(seal(self.spool, "a", rows=4), NOW)
        self.write(seal(self.spool, "b", rows=5))
        self.spool.replay([1], DeadFilter(), NOW)
        self.commit(20, 40)
        while self.spool.housekeep(NOW):
            pass

    def commit(self, groups: int, size: int) -> None:
        for _ in range(groups):
            for table in TABLES:
                made = [f"{table}{self._number + at} " + "x" * (size + self._number) for at in range(2)]
                self._number += 2
                ids = [client_id(self._number), client_id(self._number + 1)]
                self.spool.commit([entry(name, table, one) for name, one in zip(made, ids, strict=True)], NOW)
                self.truth.stored[table] += made

    def deliver(self, sink: str, table: str, rows: int) -> None:
        sealed = seal(self.spool, sink, rows=rows, table=table)
        self.truth.effects[sink, table] += names(self.spool.load(sealed).data)
        self.spool.finish(sealed)

    def write(self, sealed: Sealed) -> None:
        """The sink has it and the spool does not know."""
        self.truth.effects[sealed.sink, sealed.table] += names(self.spool.load(sealed).data)
        self.truth.ledger[sealed.sink].add(sealed.id)
        self.truth.unsure += sealed.rows

    def take(self, folder: Path) -> Truth:
        self.truth.files = {
            path.name: bytearray(path.read_bytes()) for path in folder.iterdir() if path.name.startswith(DB)
        }
        return self.truth


@lru_cache
def left_by(ending: str) -> Truth:
    """What a process left that was killed (all of it is in the log), that ended well, or that was killed
    some time after that (the newer part is in the log)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filling = Filling(folder)
        filling.fill()
        if ending != "killed":
            filling.spool.close()
        if ending == "killed later":
            filling.spool = open_spool(folder, *SINKS, chunk_bytes=3000)
            filling.commit(10, 2000)
            filling.deliver("a", "hosts", 30)
            filling.commit(10, 200)
        truth = filling.take(folder)
        filling.spool.close()
    return truth


def outcome_of(truth: Truth, damage: Callable[[dict[str, bytearray]], None]) -> Outcome:
    """Damage a copy of the files, open them, deliver everything to stores with a ledger, and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {name: bytearray(data) for name, data in truth.files.items()}
        damage(files)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        spool = open_spool(folder, *SINKS)
        try:
            found = _compared(truth, spool)
            while spool.housekeep(NOW):
                pass
            check(spool)
        finally:
            spool.close()
        assert not [path for path in folder.iterdir() if "salvag" in path.name]
    return found


def _compared(truth: Truth, spool: Spool) -> Outcome:
    found = Outcome()
    taken = {key: [*truth.effects[key], *_delivered(truth, spool, *key)] for key in KEYS}
    totals = {(total.sink, total.table): total for total in spool.totals()}
    for key, rows in taken.items():
        stored, total = set(truth.stored[key[1]]), totals.get(key)
        rows += _dead(spool, *key)
        assert set(rows) <= stored, "delivered and never stored"
        found.stored += len(stored)
        found.kept += len(set(rows))
        found.doubled += len(rows) - len(set(rows))
        if total is not None:
            assert total.waiting == total.difference == 0
            found.counted += total.dropped.get("damaged_spool", 0)
    return found


def _delivered(truth: Truth, spool: Spool, sink: str, table: str) -> list[str]:
    """What the sink takes of everything that waits; of a batch that it has it takes nothing."""
    batches = [sealed for sealed in spool.unfinished(sink) if sealed.table == table]
    while sealed := spool.seal(sink, table, 7, 20_000, NOW):
        batches.append(sealed)
    rows = []
    for sealed in batches:
        left = _readable(spool, sealed)
        if left is not None:
            data = spool.load(left).data
            rows += [] if left.id in truth.ledger[sink] else names(data)
            spool.finish(left)
    return rows


def _readable(spool: Spool, sealed: Sealed) -> Sealed | None:
    """The batch without what is damaged of it, as delivery asks for it."""
    try:
        spool.load(sealed)
    except SpoolDamaged:
        return spool.give_up(sealed, spool.changed_rows(sealed))
    return sealed


def _dead(spool: Spool, sink: str, table: str) -> list[str]:
    letters = [spool.dead_letter(one.id) for one in spool.dead_letters(DeadFilter(sink, table), limit=-1)]
    return [names(letter.line)[0] for letter in letters if letter and letter.line]


def _flip(data: bytearray, places: list[float], bit: int) -> None:
    for place in places:
        data[int(place * len(data))] ^= 1 << bit


places = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3)
KILLED = st.sampled_from(["killed", "killed later"])
ENDINGS = st.sampled_from(["stopped", "killed later"])
few = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)


@few
@given(ending=ENDINGS, at=places, bit=st.integers(0, 7))
def test_flipped_bits_in_the_file(ending: str, at: list[float], bit: int) -> None:
    truth = left_by(ending)
    found = outcome_of(truth, lambda files: _flip(files[DB], at, bit))
    SEEN.append(found)
    assert not found.doubled
    assert found.stored <= found.kept + found.counted <= found.stored + truth.unsure


SEEN: list[Outcome] = []
