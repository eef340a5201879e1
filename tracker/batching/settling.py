"""What remains of a sink's backlog when rows are missing: arithmetic of runs of row numbers, nothing else.

The numbers that a person sees stay true: what was accepted stays accepted, what is missing becomes lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tracker.batching.backlogs import Cursor, Gap, intervals

Span = tuple[int, int]
"""First and last of a run of rows."""


@dataclass(frozen=True, slots=True)
class Stand:
    """One table of one sink as it was before rows went missing, and what is accounted for otherwise."""

    cursor: Cursor
    gaps: tuple[Gap, ...]
    last: int
    """The table's last row."""
    done: int
    """Rows delivered or dropped."""
    dead: int
    """Dead letters that are left."""
    sealed: int
    """Rows that are left in batches."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The same afterwards."""

    cursor: Cursor
    gaps: tuple[Gap, ...]
    waiting: int
    """Rows that are left, those in batches included."""
    lost: int


def settled(stand: Stand, holes: Sequence[Span]) -> Settled:
    """The backlog without the rows that are in `holes`; these, and whatever else is nowhere, are lost."""
    cursor, last = stand.cursor, stand.last
    runs = minus(intervals(cursor.sealed, last, stand.gaps), holes)
    is_closed = not stand.gaps or stand.gaps[-1].last is not None
    end = last if is_closed else min(last, stand.gaps[-1].first - 1)
    gaps = [Gap(before[1] + 1, after[0] - 1) for before, after in pairwise(runs)]
    if runs and runs[-1][1] < end:
        gaps.append(Gap(runs[-1][1] + 1, end))
    if not is_closed:
        gaps.append(stand.gaps[-1])
    sealed = runs[0][0] - 1 if runs else max(cursor.sealed, end)
    offset = cursor.offset if runs and sealed == cursor.sealed else 0
    accepted = last - cursor.start - _rows_in(stand.gaps, last)
    waiting = stand.sealed + sum(span[1] - span[0] + 1 for span in runs)
    lost = accepted - stand.done - stand.dead - waiting
    start = last - _rows_in(gaps, last) - max(accepted, accepted - lost)
    return Settled(Cursor(start, sealed, offset), tuple(gaps), waiting, max(lost, 0))


def _rows_in(gaps: Iterable[Gap], last: int) -> int:
    return sum((last if gap.last is None else gap.last) - gap.first + 1 for gap in gaps)


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same rows in runs that do not touch, in order."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def minus(spans: Iterable[Span], holes: Sequence[Span]) -> list[Span]:
    """What is left of these runs without the holes; both in order."""
    found, at = [], 0
    for first, last in spans:
        while at < len(holes) and holes[at][1] < first:
            at += 1
        start, next_hole = first, at
        while next_hole < len(holes) and holes[next_hole][0] <= last:
            found.append((start, holes[next_hole][0] - 1))
            start = holes[next_hole][1] + 1
            next_hole += 1
        found.append((start, last))
    return [(first, last) for first, last in found if first <= last]
