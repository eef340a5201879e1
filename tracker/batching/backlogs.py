"""What waits of one table for one sink: where its cursor stands, what is behind it, which rows are not its.

Values only, and how they are read back from the spool at start. Sealing and finishing are in `sealing`.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from tracker.parts import is_for

BacklogKey = tuple[str, str]
"""Sink and table."""


class End(NamedTuple):
    """Where a table's rows end: the last sequence number, and the bytes of all rows there ever were."""

    last: int
    upto: int


NO_ROWS = End(0, 0)


class Cursor(NamedTuple):
    """Where a sink stands in a table: rows up to `start` never were its, those up to `sealed` are in batches,
    done, or never were; `offset` as in `Backlog`."""

    start: int = 0
    sealed: int = 0
    offset: int = 0


class Gap(NamedTuple):
    """Rows that arrived while the sink was not configured; `last` is None while it still is not."""

    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """One sink's view of one table's rows."""

    sealed: int = 0
    """Rows up to this number are in batches, done, or never were this sink's."""
    offset: int = 0
    """Bytes of the chunk holding row sealed + 1 that are sealed already."""
    rows: int = 0
    bytes: int = 0
    oldest_at: float = 0.0
    gaps: tuple[Gap, ...] = ()

    @property
    def is_open(self) -> bool:
        """New rows are this sink's too."""
        return not self.gaps or self.gaps[-1].last is not None

    def arrived(self, rows: int, size: int, now: float) -> "Backlog":
        """The backlog after a commit."""
        return replace(
            self,
            rows=self.rows + rows,
            bytes=self.bytes + size,
            oldest_at=self.oldest_at if self.rows else now,
        )

    def intervals(self, last: int) -> list[tuple[int, int]]:
        """First and last of each run of rows that waits to be sealed; `last` is the table's last row."""
        return intervals(self.sealed, last, self.gaps)


class Extent(NamedTuple):
    """What chunks hold of a table."""

    first: int
    """The first row that a chunk holds, the row after the last when none does."""
    end: End
    bytes: int
    """Of the chunks that are there."""


# Look-ups in the index per table, however many chunks there are.
_FIRSTS_AND_ENDS = """
WITH RECURSIVE tables (tbl) AS (
    SELECT min(tbl) FROM chunks
    UNION ALL
    SELECT (SELECT min(tbl) FROM chunks WHERE chunks.tbl > tables.tbl) FROM tables WHERE tbl IS NOT NULL
)
SELECT tables.tbl, (SELECT min(first) FROM chunks WHERE tbl = tables.tbl), last, upto
FROM tables JOIN chunks
ON chunks.tbl = tables.tbl AND first = (SELECT max(first) FROM chunks WHERE tbl = tables.tbl)
"""
_CHUNK_OF_ROW = """
SELECT first, last, bytes, upto, created FROM chunks
WHERE tbl = ? AND first = (SELECT max(first) FROM chunks WHERE tbl = ? AND first <= ?)
"""


def intervals(sealed: int, last: int, gaps: tuple[Gap, ...]) -> list[tuple[int, int]]:
    """First and last of each run of rows after `sealed` up to `last` that lies in no gap."""
    found, start = [], sealed + 1
    for gap in gaps:
        found.append((start, gap.first - 1))
        start = last + 1 if gap.last is None else gap.last + 1
    return [(first, end) for first, end in [*found, (start, last)] if first <= end]


def read_extents(db: sqlite3.Connection) -> dict[str, Extent]:
    """Every table that ever had rows, from what is kept and what is stored; quick however much waits."""
    ends, trimmed = dict[str, End](), dict[str, int]()
    for table, last, upto, gone in db.execute("SELECT tbl, last, upto, trimmed FROM sequences").fetchall():
        ends[table], trimmed[table] = End(last, upto), gone
    firsts: dict[str, int] = {}
    for table, first, last, upto in db.execute(_FIRSTS_AND_ENDS).fetchall():
        firsts[table] = first
        ends[table] = max(End(last, upto), ends.get(table, NO_ROWS))
    return {
        table: Extent(firsts.get(table, end.last + 1), end, end.upto - trimmed.get(table, 0))
        for table, end in ends.items()
    }


def read_lasts(db: sqlite3.Connection) -> dict[str, int]:
    """Table to its last sequence number."""
    return {table: extent.end.last for table, extent in read_extents(db).items()}


def read_sinks(db: sqlite3.Connection) -> dict[str, bool]:
    """Every sink ever registered, and whether new rows are meant for it."""
    found = db.execute("SELECT name, is_attached FROM sinks ORDER BY name").fetchall()
    return {name: bool(is_attached) for name, is_attached in found}


def read_backlogs(db: sqlite3.Connection, lasts: Mapping[str, int]) -> dict[BacklogKey, Backlog]:
    """Every backlog as the spool has it: an attached sink has one for each table, others what they left.

    Of a part of a table only those for whom it is have any.
    """
    gaps: dict[BacklogKey, list[Gap]] = {}
    for sink, table, first, last in db.execute(
        "SELECT sink, tbl, first, last FROM gaps ORDER BY first"
    ).fetchall():
        gaps.setdefault((sink, table), []).append(Gap(first, last))
    cursors = {
        (row[0], row[1]): row[2:] for row in db.execute("SELECT sink, tbl, sealed, offset FROM cursors")
    }
    keys = dict.fromkeys(
        (sink, table) for sink, is_attached in read_sinks(db).items() if is_attached for table in lasts
    )
    return {
        key: _backlog(db, key[1], lasts.get(key[1], 0), cursors.get(key, (0, 0)), tuple(gaps.get(key, ())))
        for key in keys | dict.fromkeys(cursors)
        if is_for(key[1], key[0])
    }


def _backlog(
    db: sqlite3.Connection, table: str, last: int, cursor: tuple[int, int], gaps: tuple[Gap, ...]
) -> Backlog:
    sealed, offset = cursor
    waiting = intervals(sealed, last, gaps)
    if not waiting:
        return Backlog(sealed, 0, 0, 0, 0.0, gaps)
    rows = sum(end - start + 1 for start, end in waiting)
    sizes, times = zip(*(_size_and_time(db, table, start, end) for start, end in waiting), strict=True)
    return Backlog(sealed, offset, rows, max(sum(sizes) - offset, 0), times[0], gaps)


def _size_and_time(db: sqlite3.Connection, table: str, first: int, last: int) -> tuple[int, float]:
    """Bytes of the chunks that hold these rows, and when the oldest of them came."""
    head, tail = (db.execute(_CHUNK_OF_ROW, (table, table, row)).fetchone() for row in (first, last))
    if head is None or tail is None:
        return 0, 0.0
    _, _, head_bytes, head_upto, oldest_at = head
    return tail[3] - head_upto + head_bytes, oldest_at
