import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spools import NOW, entry, open_spool, seal
from tracker.batching.rejections import HoldLimits, Rejections

WINDOW = HoldLimits().window_rows
SMALL = HoldLimits(share=0.2, at_least=3, in_a_row=6, window_rows=20)
"""The same rule with numbers that a test comes near to."""


def test_a_few_bad_rows_may_be_put_aside() -> None:
    assert Rejections().objection(10_000, range(0, 500 * 20, 20)) is None
    assert Rejections().objection(50, range(50)) is None


def test_more_than_five_percent_and_at_least_a_hundred_are_too_many() -> None:
    assert Rejections().objection(10_000, range(0, 501 * 3, 3)) is not None
    assert Rejections().objection(99, range(99)) is None
    assert Rejections().objection(100, range(100)) is not None


def test_rejections_of_many_small_batches_add_up() -> None:
    memory = Rejections()
    for _ in range(99):
        assert memory.objection(1, [0]) is None
        memory = memory.after_rejected(1)
    assert memory.objection(1, [0]) == "100 of the last 100 rows were rejected"


def test_a_thousand_in_a_row_are_too_many_also_where_the_share_is_small() -> None:
    rare = Rejections(HoldLimits(share=0.5))
    assert rare.objection(100_000, range(5, 1004)) is None
    assert rare.objection(100_000, range(5, 1005)) == "1000 rows in a row were rejected"


def test_a_run_goes_on_from_one_batch_into_the_next() -> None:
    memory = Rejections(HoldLimits(share=0.5)).after_taken(30_000).after_rejected(400)
    assert memory.objection(100_000, range(600)) is not None
    assert memory.objection(100_000, range(1, 601)) is None
    assert memory.after_taken(1).objection(100_000, range(600)) is None


def test_a_bad_stretch_is_seen_in_the_middle_of_a_huge_batch() -> None:
    bad = range(40_000, 40_000 + 501 * 2, 2)
    assert Rejections().objection(100_000, bad) == "501 of the last 10000 rows were rejected"
    assert Rejections().objection(100_000, bad[:500]) is None


def test_old_rows_are_forgotten_behind_the_window() -> None:
    memory = Rejections().after_rejected(90)
    for _ in range(WINDOW // 100 + 1):
        memory = memory.after_taken(100)
    assert memory.objection(20, range(20)) is None
    assert memory.forgotten() == Rejections()


def test_the_memory_stays_small_whatever_is_put_aside() -> None:
    memory = Rejections().after_rejected(1_000_000).after_taken(9_999).after_rejected(5)
    assert memory.rejected == (999_999, *range(1_009_999, 1_010_004))[-5:]
    assert len(Rejections().after_rejected(1_000_000).rejected) == WINDOW


def naive(verdicts: list[bool], new: list[bool], limits: HoldLimits) -> bool:
    """The rule word by word: `verdicts` are final, True for a rejected row; `new` is the batch at hand."""
    every, before = verdicts + new, len(verdicts)
    for end in range(before + 1, len(every) + 1):
        if end >= limits.in_a_row and all(every[end - limits.in_a_row : end]):
            return True
        window = every[max(0, end - limits.window_rows) : end]
        is_full = len(window) == limits.window_rows
        is_judged = is_full or end == len(every)
        is_much = sum(window) >= limits.at_least and sum(window) > limits.share * len(window)
        if is_judged and is_much:
            return True
    return False


BATCHES = st.lists(st.lists(st.booleans(), min_size=1, max_size=50), min_size=1, max_size=12)
SPARSE = st.lists(
    st.lists(st.integers(0, 9).map(lambda dice: dice == 0), min_size=1, max_size=50), min_size=1, max_size=12
)


@settings(max_examples=150, deadline=None)
@given(BATCHES | SPARSE)
def test_it_objects_exactly_when_the_rule_says_so(batches: list[list[bool]]) -> None:
    memory, verdicts = Rejections(SMALL), list[bool]()
    for batch in batches:
        bad = [at for at, is_bad in enumerate(batch) if is_bad]
        if bad:
            assert bool(memory.objection(len(batch), bad)) is naive(verdicts, batch, SMALL)
            memory = memory.after_rejected(len(bad))
        taken = len(batch) - len(bad)
        memory = memory.after_taken(taken)
        verdicts += [True] * len(bad) + [False] * taken


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.sets(st.integers(0, 8)), st.booleans()), min_size=1, max_size=12)
)
def test_the_spool_remembers_what_the_process_knew(happened: list[tuple[int, set[int], bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool, memory = open_spool(Path(folder), "a", durability="memory"), Rejections()
        for rows, bad, is_forgiven in happened:
            spool.commit([entry(n) for n in range(rows)], NOW)
            sealed, reasons = seal(spool), {at: "bad" for at in bad if at < rows}
            child = spool.reject(sealed, reasons, NOW) if reasons else sealed
            memory = memory.after_rejected(len(reasons))
            if child is not None:
                spool.finish(child)
                memory = memory.after_taken(child.rows)
            if is_forgiven:
                spool.forgive("a", "events")
                memory = memory.forgotten()
        assert Rejections.restored(HoldLimits(), spool.verdicts("a", "events")) == memory
        spool.close()
        spool = open_spool(Path(folder), "a", durability="memory")
        assert Rejections.restored(HoldLimits(), spool.verdicts("a", "events")) == memory
        spool.close()


def test_a_spool_of_an_earlier_version_learns_to_remember(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(n) for n in range(5)], NOW)
    with spool.database.transaction() as db:
        db.execute("DROP TABLE rejections")
    spool.close()
    spool = open_spool(tmp_path, "a")
    assert spool.verdicts("a", "events").runs == ((0, 0),)
    spool.reject(seal(spool), {0: "bad", 3: "bad"}, NOW)
    assert spool.verdicts("a", "events").runs == ((0, 2), (0, 0))
    spool.close()


def test_the_spool_keeps_marks_of_the_window_only(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    for rows in (5, 30_000, 5):
        spool.commit([entry(n) for n in range(rows)], NOW)
        child = spool.reject(seal(spool), {0: "bad"}, NOW)
        assert child
        spool.finish(child)
    assert spool.verdicts("a", "events").runs == ((30_003, 1), (4, 0))
    assert spool.verdicts("a", "other").runs == ((0, 0),)
    spool.close()
