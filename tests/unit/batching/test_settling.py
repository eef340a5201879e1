"""The arithmetic of runs against plain sets of row numbers."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.backlogs import Cursor, Gap, intervals
from tracker.batching.settling import Span, Stand, joined, minus, settled

LAST = 40
rows = st.sets(st.integers(1, LAST))


def _runs(numbers: set[int]) -> list[Span]:
    return joined((number, number) for number in numbers)


def _set(spans: list[Span]) -> set[int]:
    return {row for first, last in spans for row in range(first, last + 1)}


@given(rows, rows)
def test_runs_without_holes_are_the_rows_without_them(owed: set[int], missing: set[int]) -> None:
    left = minus(_runs(owed), _runs(missing))
    assert _set(left) == owed - missing
    assert left == sorted(left)


@given(
    sealed=st.integers(0, LAST),
    others=rows,
    open_from=st.one_of(st.none(), st.integers(1, LAST + 1)),
    missing=rows,
    start=st.integers(0, 5),
    batches=st.integers(0, 5),
    dead=st.integers(0, 5),
)
def test_a_backlog_without_the_missing_rows_has_the_others_and_the_same_accepted_rows(
    sealed: int,
    others: set[int],
    open_from: int | None,
    missing: set[int],
    start: int,
    batches: int,
    dead: int,
) -> None:
    end = LAST if open_from is None else max(open_from, sealed + 1) - 1
    gaps = [Gap(*span) for span in _runs({row for row in others if sealed + 1 < row <= end})]
    if open_from is not None:
        gaps = [*(gap for gap in gaps if gap.last != end), Gap(end + 1, None)]
    stand = Stand(Cursor(start, sealed, 7), tuple(gaps), LAST, sealed - start - batches - dead, dead, batches)
    owed = _set(intervals(sealed, LAST, stand.gaps))
    after = settled(stand, _runs(missing))
    left = owed - missing
    runs = intervals(after.cursor.sealed, LAST, after.gaps)
    assert _set(runs) == left
    assert not runs or runs[0][0] == after.cursor.sealed + 1
    assert (after.waiting, after.lost) == (len(left) + batches, len(owed & missing))
    assert _accepted(after.cursor, after.gaps) == _accepted(stand.cursor, stand.gaps)
    assert after.cursor.offset in (0, 7)
    assert after.cursor.offset == 0 or after.cursor.sealed == sealed
    assert (after.gaps[-1:] == stand.gaps[-1:]) or open_from is None


@given(surplus=st.integers(1, 9))
def test_counters_that_say_more_than_was_accepted_raise_what_was_accepted(surplus: int) -> None:
    stand = Stand(Cursor(0, 10, 0), (), LAST, 10 + surplus, 0, 0)
    after = settled(stand, [])
    assert after.lost == 0
    assert _accepted(after.cursor, after.gaps) == LAST + surplus


def _accepted(cursor: Cursor, gaps: tuple[Gap, ...]) -> int:
    return LAST - cursor.start - sum((LAST if gap.last is None else gap.last) - gap.first + 1 for gap in gaps)
