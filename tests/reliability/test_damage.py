"""Whatever happens to a spool's bytes: it starts, nothing is delivered that was not stored and nothing twice,
and what is lost is counted to the row."""

import json
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.server import Server, running
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


def _flip(data: bytearray, places: Sequence[float], bit: int) -> None:
    for place in places:
        data[int(place * len(data))] ^= 1 << bit


def _overwrite(data: bytearray, place: float, new: bytes) -> None:
    at = int(place * len(data))
    data[at : at + len(new)] = new[: len(data) - at]


def _cut(data: bytearray, place: float) -> None:
    del data[int(place * len(data)) :]


def _lose_the_log(files: dict[str, bytearray]) -> None:
    del files[LOG]


def _assert_counted(found: Outcome, truth: Truth) -> None:
    """Nothing twice, and what is gone is counted; a row that was written and not acknowledged may be both."""
    assert not found.doubled
    assert found.stored <= found.kept + found.counted <= found.stored + truth.unsure


def _assert_at_most_counted(found: Outcome, truth: Truth) -> None:
    """Nothing twice; of rows at the end nothing may be left that tells that they were there."""
    assert not found.doubled
    assert found.kept + found.counted <= found.stored + truth.unsure


SURVIVED: dict[str, list[Outcome]] = defaultdict(list)
"""Outcomes by kind of damage."""

place = st.floats(0, 1, exclude_max=True)
several = st.lists(place, min_size=2, max_size=4)
bit = st.integers(0, 7)
with_file = st.sampled_from(["stopped", "killed later"])
with_log = st.sampled_from(["killed", "killed later"])

everyday = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
thorough = settings(everyday, max_examples=100)


def a_flipped_bit_in_the_file_costs_at_most_what_it_hits(ending: str, at: float, bit: int) -> None:
    truth = left_by(ending)
    found = outcome_of(truth, lambda files: _flip(files[DB], [at], bit))
    SURVIVED["a flipped bit in the file"].append(found)
    _assert_counted(found, truth)


def a_flipped_bit_in_the_log_costs_at_most_what_it_hits(ending: str, at: float, bit: int) -> None:
    truth = left_by(ending)
    found = outcome_of(truth, lambda files: _flip(files[LOG], [at], bit))
    SURVIVED["a flipped bit in the log"].append(found)
    _assert_counted(found, truth)


def several_flipped_bits_double_nothing(ending: str, name: str, at: list[float], bit: int) -> None:
    truth = left_by(ending)
    found = outcome_of(truth, lambda files: _flip(files.get(name, files[DB]), at, bit))
    SURVIVED["several flipped bits"].append(found)
    _assert_at_most_counted(found, truth)


def a_block_of_zeros_or_garbage_doubles_nothing(ending: str, at: float, size: int, fill: bytes) -> None:
    truth = left_by(ending)
    found = outcome_of(truth, lambda files: _overwrite(files[DB], at, (fill * size)[:size]))
    SURVIVED["an overwritten block"].append(found)
    _assert_at_most_counted(found, truth)


def a_file_cut_anywhere_doubles_nothing(ending: str, at: float) -> None:
    truth = left_by(ending)
    found = outcome_of(truth, lambda files: _cut(files[DB], at))
    SURVIVED["a cut file"].append(found)
    _assert_at_most_counted(found, truth)


PROPERTIES = {
    a_flipped_bit_in_the_file_costs_at_most_what_it_hits: {"ending": with_file, "at": place, "bit": bit},
    a_flipped_bit_in_the_log_costs_at_most_what_it_hits: {"ending": with_log, "at": place, "bit": bit},
    several_flipped_bits_double_nothing: {
        "ending": st.sampled_from(["stopped", "killed", "killed later"]),
        "name": st.sampled_from([DB, LOG]),
        "at": several,
        "bit": bit,
    },
    a_block_of_zeros_or_garbage_doubles_nothing: {
        "ending": with_file,
        "at": st.one_of(st.just(0.0), place),
        "size": st.sampled_from([512, 4096, 65536, 300_000]),
        "fill": st.sampled_from([b"\0", b"\xff", b"\r\x02", b"no page at all"]),
    },
    a_file_cut_anywhere_doubles_nothing: {"ending": with_file, "at": place},
}
names_of = [check.__name__ for check in PROPERTIES]


@pytest.mark.parametrize("fact", PROPERTIES, ids=names_of)
def test_whatever_happens_to_the_bytes(fact: Callable[..., None]) -> None:
    everyday(given(**PROPERTIES[fact])(fact))()


@pytest.mark.long
def test_a_flipped_bit_in_an_index_is_noticed_at_the_start() -> None:
    for byte in range(0, 300, 20):
        a_flipped_bit_in_the_file_costs_at_most_what_it_hits("stopped", 0.99316 + byte / 1_949_696, 0)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fact", PROPERTIES, ids=names_of)
def test_whatever_happens_to_the_bytes_at_length(fact: Callable[..., None]) -> None:
    thorough(given(**PROPERTIES[fact])(fact))()
    ((kind, outcomes),) = list(SURVIVED.items())[-1:]
    stored, kept = (sum(getattr(one, name) for one in outcomes) for name in ("stored", "kept"))
    print(f"{kind}: {len(outcomes)} times, {kept / stored:.2%} of the rows survive")
    assert kept < stored, "nothing was ever damaged"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_log_that_lost_its_end_is_noticed_and_the_rows_before_it_go_on(share: float) -> None:
    """What was delivered in the time that is lost may go a second time: nothing is left that tells of it."""
    truth = left_by("killed later")
    found = outcome_of(truth, lambda files: _cut(files[LOG], share))
    assert found.kept >= len(left_by("stopped").stored["events"]) * 2
    assert found.doubled <= 30


def test_a_missing_log_is_noticed_and_the_rows_before_it_go_on() -> None:
    truth = left_by("killed later")
    found = outcome_of(truth, _lose_the_log)
    assert found.kept >= sum(map(len, left_by("stopped").stored.values())) * len(SINKS)
    assert found.doubled <= 30


def _filled_server(server: Server, events: int) -> set[str]:
    """Events that wait in the spool, each in a chunk of its own; their ids."""
    eids = [str(uuid.uuid4()) for _ in range(events)]
    for eid in eids:
        assert server.post("/tr/v1/tr/", {"eid": eid, "ename": "load", "text": "x" * 3000})[0] == 200
    return set(eids)


@pytest.mark.long
def test_a_server_on_a_damaged_spool_starts_says_what_is_lost_counts_it_and_delivers_the_rest(
    tmp_path: Path,
) -> None:
    away = {"sinks": {"*": {"behaviour": "refuse"}}}
    with running(tmp_path, faults=away, Batching={"events": {"MaxBatchTime": "0.05s"}}) as server:
        eids = _filled_server(server, 30)
        assert server.stop() == 0
        path = tmp_path / "data" / "spool" / DB
        data = bytearray(path.read_bytes())
        hit = data.index(b"x" * 100)
        data[hit + 5] ^= 1
        data[: 64 * 1024] = bytes(64 * 1024)
        path.write_bytes(data)
        server.sabotage()
        server.start()
        stored = {row["eid"] for row in server.rows_when("SELECT eid FROM events", 29)}
        assert len(stored) == 29
        assert stored < eids
        told = json.loads(server.get("/metrics?format=json")[1])
        (events,) = [one for one in told["conservation"]["tables"] if one["table"] == "events"]
        assert (events["accepted"], events["delivered"], events["dropped"]) == (30, 29, {"damaged_spool": 1})
        text = server.get("/metrics?format=prometheus")[1].decode()
        labels = f'{{reason="damaged_spool",sink="{events["sink"]}",table="events"}}'
        assert f"tracker_rows_dropped_total{labels} 1.0" in text
        assert "tracker_spool_damaged_files 1.0" in text
        (line,) = [one for one in server.log.splitlines() if "damaged spool put aside" in one]
        assert '"lost_rows": 1' in line
        assert server.stop() == 0


@pytest.mark.long
def test_a_damaged_row_holds_up_neither_its_table_nor_another(tmp_path: Path) -> None:
    """The damage is met while the server runs: at the start nothing of the rows is read."""
    away = {"sinks": {"*": {"behaviour": "refuse"}}}
    with running(tmp_path, faults=away, Batching={"events": {"MaxBatchTime": "0.05s"}}) as server:
        eids = _filled_server(server, 30)
        assert server.stop() == 0
        path = tmp_path / "data" / "spool" / DB
        data = bytearray(path.read_bytes())
        data[data.index(b"x" * 100) + 5] ^= 1
        path.write_bytes(data)
        server.sabotage()
        server.start()
        eids |= _filled_server(server, 3)
        stored = {row["eid"] for row in server.rows_when("SELECT eid FROM events", 32)}
        assert len(stored) == 32
        assert stored < eids
        assert "damaged rows are lost" in server.log
        assert "put aside" not in server.log
        assert server.stop() == 0
