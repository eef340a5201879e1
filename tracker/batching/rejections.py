"""Whether a table's rejected rows are a few bad rows or a broken schema: a pure memory of the last rows.

The rule: when of a table's last 10,000 rows more than 5 % and at least 100 are rejected, or 1,000 in a row,
its delivery should hold, so that a broken schema does not drain the spool into the dead letters. Who holds
is `lane`.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

WINDOW_ROWS = 10_000
GRAIN_ROWS = 100
"""Small batches are remembered together up to this many rows, so that the memory stays small."""


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How many rejected rows are too many."""

    share: float = 0.05
    at_least: int = 100
    in_a_row: int = 1_000


@dataclass(frozen=True, slots=True)
class Rejections:
    """The last rows of a table in a sink: groups of (rows, rejected among them), oldest first."""

    limits: HoldLimits = HoldLimits()
    groups: tuple[tuple[int, int], ...] = ()
    in_a_row: int = 0
    """Rejected rows since the last one that was taken."""

    def after_taken(self, rows: int) -> "Rejections":
        """Rows that took effect."""
        return replace(self, groups=self._with(rows, 0), in_a_row=0)

    def after_rejected(self, rows: int) -> "Rejections":
        """Rows that were put aside."""
        return replace(self, groups=self._with(rows, rows), in_a_row=self.in_a_row + rows)

    def forgotten(self) -> "Rejections":
        """A person looked at it: the count starts again."""
        return Rejections(self.limits)

    def objection(self, rows: int, positions: Collection[int]) -> str | None:
        """Why these positions of a batch of `rows` should not be put aside, None when they may be."""
        run = self._longest_run(positions)
        if run >= self.limits.in_a_row:
            return f"{run} rows in a row were rejected"
        seen = rows + sum(group[0] for group in self.groups)
        rejected = len(positions) + sum(group[1] for group in self.groups)
        if rejected >= self.limits.at_least and rejected > self.limits.share * seen:
            return f"{rejected} of the last {seen} rows were rejected"
        return None

    def _longest_run(self, positions: Collection[int]) -> int:
        longest = run = self.in_a_row
        before = -1
        for position in sorted(positions):
            run = run + 1 if position == before + 1 else 1
            longest = max(longest, run)
            before = position
        return longest

    def _with(self, rows: int, rejected: int) -> tuple[tuple[int, int], ...]:
        groups = [*self.groups]
        if groups and groups[-1][0] + rows <= GRAIN_ROWS:
            groups[-1] = (groups[-1][0] + rows, groups[-1][1] + rejected)
        else:
            groups.append((rows, rejected))
        while len(groups) > 1 and sum(group[0] for group in groups[1:]) >= WINDOW_ROWS:
            del groups[0]
        return tuple(groups)
