"""What waits of one table for one sink: where its cursor stands, what is behind it, which rows are not its.

Values only, and how they are read back from the spool at start. Sealing and finishing are in `sealing`.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

BacklogKey = tuple[str, str]
"""Sink and table."""


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


# One look-up in the index per table, however many chunks there are.
_STORED_LASTS = """
WITH RECURSIVE tables (tbl) AS (
    SELECT min(tbl) FROM chunks
    UNION ALL
    SELECT (SELECT min(tbl) FROM chunks WHERE chunks.tbl > tables.tbl) FROM tables WHERE tbl IS NOT NULL
)
SELECT tbl, (SELECT last FROM chunks WHERE chunks.tbl = tables.tbl ORDER BY first DESC LIMIT 1)
FROM tables WHERE tbl IS NOT NULL
"""


def intervals(sealed: int, last: int, gaps: tuple[Gap, ...]) -> list[tuple[int, int]]:
    """First and last of each run of rows after `sealed` up to `last` that lies in no gap."""
    found, start = [], sealed + 1
    for gap in gaps:
        found.append((start, gap.first - 1))
        start = last + 1 if gap.last is None else gap.last + 1
    return [(first, end) for first, end in [*found, (start, last)] if first <= end]


def read_lasts(db: sqlite3.Connection) -> dict[str, int]:
    """Table to its last sequence number, from what is kept and what is stored."""
    lasts = dict(db.execute("SELECT tbl, last FROM sequences").fetchall())
    for table, last in db.execute(_STORED_LASTS).fetchall():
        lasts[table] = max(last, lasts.get(table, 0))
    return lasts


def read_sinks(db: sqlite3.Connection) -> dict[str, bool]:
    """Every sink ever registered, and whether new rows are meant for it."""
    found = db.execute("SELECT name, is_attached FROM sinks ORDER BY name").fetchall()
    return {name: bool(is_attached) for name, is_attached in found}


def read_backlogs(db: sqlite3.Connection, lasts: Mapping[str, int]) -> dict[BacklogKey, Backlog]:
    """Every backlog as the spool has it: an attached sink has one for each table, others what they left."""
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
    size, oldest_at = db.execute(
        "SELECT coalesce(sum(bytes), 0), coalesce(min(created), 0) FROM chunks"
        " WHERE tbl = :table AND last >= :first AND first <= :last AND first >= coalesce("
        "(SELECT max(first) FROM chunks WHERE tbl = :table AND first <= :first), 0)",
        {"table": table, "first": first, "last": last},
    ).fetchone()
    return size, oldest_at
