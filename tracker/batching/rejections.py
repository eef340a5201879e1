"""Whether a table's rejected rows are a few bad rows or a broken schema: a pure memory of the last rows.

The rule: when of a table's last 10,000 rows more than 5 % and at least 100 are rejected, or 1,000 in a row,
its delivery should hold, so that a broken schema does not drain the spool into the dead letters. Who holds
is `lane`; what of this survives the process is `rejection_marks`' business.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tracker.batching.contract import Verdicts


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How many rejected rows are too many."""

    share: float = 0.05
    at_least: int = 100
    in_a_row: int = 1_000
    window_rows: int = 10_000
    """How many of the last rows `share` and `at_least` are about; all of them while there were fewer."""


@dataclass(frozen=True, slots=True)
class Rejections:
    """The last rows of a table in a sink, in the order of their verdicts."""

    limits: HoldLimits = HoldLimits()
    seen: int = 0
    """Rows with a verdict."""
    rejected: tuple[int, ...] = ()
    """Which of them were rejected, counted from 0; none that is further back than the window."""

    @classmethod
    def restored(cls, limits: HoldLimits, verdicts: Verdicts) -> "Rejections":
        """What an earlier process knew."""
        memory = cls(limits)
        for taken, rejected in verdicts.runs:
            memory = memory.after_taken(taken).after_rejected(rejected)
        return memory

    def after_taken(self, rows: int) -> "Rejections":
        """Rows that took effect."""
        return replace(self, seen=self.seen + rows)

    def after_rejected(self, rows: int) -> "Rejections":
        """Rows that were put aside."""
        seen = self.seen + rows
        start = seen - self.limits.window_rows
        kept = self.rejected[bisect_left(self.rejected, start) :]
        return replace(self, seen=seen, rejected=(*kept, *range(max(self.seen, start), seen)))

    def forgotten(self) -> "Rejections":
        """A person looked at it: the count starts again."""
        return Rejections(self.limits)

    def objection(self, rows: int, positions: Collection[int]) -> str | None:
        """Why these positions of a batch of `rows` should not be put aside, None when they may be.

        The batch counts in the order of its rows, those that were not named as taken.
        """
        new = [self.seen + position for position in sorted(positions)]
        run = max(self._runs(new), default=0)
        if run >= self.limits.in_a_row:
            return f"{run} rows in a row were rejected"
        every = [*self.rejected, *new]
        for end in self._ends(new, self.seen + rows):
            start = max(0, end - self.limits.window_rows)
            rejected = bisect_right(every, end - 1) - bisect_left(every, start)
            if self._is_too_many(rejected, end - start):
                return f"{rejected} of the last {end - start} rows were rejected"
        return None

    def _is_too_many(self, rejected: int, rows: int) -> bool:
        return rejected >= self.limits.at_least and rejected > self.limits.share * rows

    def _ends(self, new: Sequence[int], end: int) -> Iterator[int]:
        """Where the windows end that may be the worst: a full one at each of these rows, and the last one."""
        first_full = max(self.limits.window_rows, self.seen + 1)
        if first_full < end:
            yield first_full
        yield from (row + 1 for row in new if row + 1 >= first_full)
        yield end

    def _runs(self, new: Iterable[int]) -> Iterator[int]:
        """Lengths of the runs of rejected rows that these rows make or prolong, growing."""
        run, before = self._last_run(), self.seen - 1
        for row in new:
            run = run + 1 if row == before + 1 else 1
            before = row
            yield run

    def _last_run(self) -> int:
        run = 0
        while run < len(self.rejected) and self.rejected[-1 - run] == self.seen - 1 - run:
            run += 1
        return run
