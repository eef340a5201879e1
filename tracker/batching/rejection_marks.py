"""What a spool keeps of rejections: a process that is started again and again must hold a table all the same.

One mark for each number of delivered rows at which rows were put aside: with the counter of delivered rows
that is the order of the last verdicts. Functions on one connection; transactions are the spool's.
"""

import sqlite3
from collections.abc import Iterator

from tracker.batching.contract import Verdicts

KEPT_ROWS = 10_000
"""Marks older than this many delivered rows go."""

TABLE = """
CREATE TABLE IF NOT EXISTS rejections (
    sink TEXT NOT NULL,
    tbl TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    is_start INTEGER NOT NULL,
    PRIMARY KEY (sink, tbl, delivered)
) WITHOUT ROWID
"""
"""`rows` were put aside when so many were delivered; `is_start`: what was before was forgiven."""


def note(db: sqlite3.Connection, sink: str, table: str, rows: int) -> None:
    """Rows are put aside, in the caller's transaction."""
    delivered = _delivered(db, sink, table)
    _mark(db, sink, table, delivered, rows, is_start=False)
    db.execute(
        "DELETE FROM rejections WHERE sink = ? AND tbl = ? AND delivered < ?",
        (sink, table, delivered - KEPT_ROWS),
    )


def forgive(db: sqlite3.Connection, sink: str, table: str) -> None:
    """A person looked at it: the count starts again."""
    db.execute("DELETE FROM rejections WHERE sink = ? AND tbl = ?", (sink, table))
    _mark(db, sink, table, _delivered(db, sink, table), 0, is_start=True)


def read(db: sqlite3.Connection, sink: str, table: str) -> Verdicts:
    """The last verdicts on a table's rows; of those before the marks it is known that they were good."""
    delivered = _delivered(db, sink, table)
    marks = db.execute(
        "SELECT delivered, rows, is_start FROM rejections WHERE sink = ? AND tbl = ? ORDER BY delivered",
        (sink, table),
    ).fetchall()
    return Verdicts(tuple(_runs(delivered, marks)))


def _runs(delivered: int, marks: list[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    before = marks[0][0] if marks and marks[0][2] else 0
    for at, rows, _ in marks:
        yield at - before, rows
        before = at
    yield delivered - before, 0


def _mark(
    db: sqlite3.Connection, sink: str, table: str, delivered: int, rows: int, *, is_start: bool
) -> None:
    db.execute(
        "INSERT INTO rejections VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (sink, tbl, delivered) DO UPDATE SET rows = rows + excluded.rows",
        (sink, table, delivered, rows, is_start),
    )


def _delivered(db: sqlite3.Connection, sink: str, table: str) -> int:
    found = db.execute(
        "SELECT value FROM counts WHERE sink = ? AND tbl = ? AND name = 'delivered'", (sink, table)
    ).fetchone()
    return found[0] if found else 0
