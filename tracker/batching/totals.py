"""The spool's bookkeeping, read in one consistent view: where every accepted row is.

`accepted` comes from sequence numbers, `waiting` from cursors and batches, the rest from counters: that they
agree is the proof that nothing was lost. `read_totals` asks that quickly, however much waits; `verify` also
counts every row that waits where it is stored.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from tracker.batching import spool_copies
from tracker.batching.backlogs import intervals, read_backlogs, read_lasts
from tracker.batching.contract import Sealed
from tracker.batching.sealing import read_batches
from tracker.batching.spool_schema import checksum


@dataclass(frozen=True, slots=True)
class Total:
    """Rows of one table for one sink, since the sink was registered."""

    sink: str
    table: str
    accepted: int
    delivered: int
    dead: int
    waiting: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason: a person's decision or damage."""

    @property
    def difference(self) -> int:
        """Rows that are nowhere (or, negative, twice): always 0."""
        return self.accepted - self.delivered - self.dead - self.waiting - sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the whole spool found."""

    problems: tuple[str, ...]
    chunks: int
    rows: int
    batches: int
    dead: int

    @property
    def is_sound(self) -> bool:
        """Nothing was found."""
        return not self.problems


def read_totals(db: sqlite3.Connection) -> list[Total]:
    """Every sink and table that has anything, from one consistent view of the spool."""
    db.execute("BEGIN")
    try:
        return _read(db)
    finally:
        db.execute("COMMIT")


def _read(db: sqlite3.Connection) -> list[Total]:
    lasts = read_lasts(db)
    starts = {
        (sink, table): start for sink, table, start in db.execute("SELECT sink, tbl, start FROM cursors")
    }
    dead = _by_key(db, "SELECT sink, tbl, count(*) FROM dead GROUP BY sink, tbl")
    sealed = _by_key(db, "SELECT sink, tbl, sum(rows) FROM batches GROUP BY sink, tbl")
    counts = {
        (row[0], row[1], row[2]): row[3] for row in db.execute("SELECT sink, tbl, name, value FROM counts")
    }
    made = []
    for (sink, table), backlog in read_backlogs(db, lasts).items():
        last = lasts.get(table, 0)
        gaps = sum((gap.last or last) - gap.first + 1 for gap in backlog.gaps)
        key = (sink, table)
        made.append(
            Total(
                sink,
                table,
                accepted=last - starts.get(key, 0) - gaps,
                delivered=counts.get((sink, table, "delivered"), 0),
                dead=dead.get(key, 0),
                waiting=sealed.get(key, 0) + backlog.rows,
                dropped={
                    name.removeprefix("dropped:"): value
                    for (its_sink, its_table, name), value in counts.items()
                    if (its_sink, its_table) == key and name.startswith("dropped:")
                },
            )
        )
    return made


def _by_key(db: sqlite3.Connection, sql: str) -> dict[tuple[str, str], int]:
    return {(sink, table): rows for sink, table, rows in db.execute(sql).fetchall()}


_STORED = """
SELECT coalesce(sum(last - first + 1), 0), min(first), max(last) FROM chunks
WHERE tbl = :table AND first <= :last AND last >= :first AND first >= coalesce(
    (SELECT max(first) FROM chunks WHERE tbl = :table AND first <= :first), 0)
"""


def _stored(db: sqlite3.Connection, table: str, first: int, last: int) -> int:
    """Rows of first..last that chunks hold."""
    rows, lowest, highest = db.execute(_STORED, {"table": table, "first": first, "last": last}).fetchone()
    if not rows:
        return 0
    return int(rows - max(first - lowest, 0) - max(highest - last, 0))


def missing_rows(db: sqlite3.Connection) -> list[str]:
    """Each sink's tables of whose waiting rows some are not stored, and how many; as long as the index is."""
    lasts = read_lasts(db)
    found = []
    for (sink, table), backlog in read_backlogs(db, lasts).items():
        spans = intervals(backlog.sealed, lasts.get(table, 0), backlog.gaps)
        rows = backlog.rows - sum(_stored(db, table, first, last) for first, last in spans)
        if rows:
            found.append(f"{table} for {sink}: {rows} of the waiting rows are not stored")
    batches = [held.sealed for held in read_batches(db).values() if not held.inline_bytes]
    found += [
        f"{sealed.table} for {sealed.sink}: {rows} rows of batch {sealed.id} are not stored"
        for sealed in batches
        if (rows := _missing_of(db, sealed))
    ]
    return found


def _missing_of(db: sqlite3.Connection, sealed: Sealed) -> int:
    """Rows of a batch that no chunk holds; chunks whose rows are all skipped may be missing."""
    table, first, last = sealed.table, sealed.first, sealed.last
    missing = last - first + 1 - _stored(db, table, first, last)
    return missing and missing - sum(not _stored(db, table, row, row) for row in sealed.skipped)


def verify(db: sqlite3.Connection) -> Verdict:
    """Check the file's structure, every chunk's bytes, and the recount of every row. Reads everything."""
    problems = [f"file: {row[0]}" for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
    chunks, rows = 0, 0
    for table, first, last, crc, data in db.execute(
        "SELECT tbl, first, last, crc, data FROM chunks ORDER BY id"
    ):
        chunks, rows = chunks + 1, rows + last - first + 1
        if checksum(table, first, last, data) != crc:
            problems.append(f"{table}: rows {first} to {last} are damaged")
    problems += missing_rows(db)
    if table := spool_copies.difference(db):
        problems.append(f"{table}: the table and its copy differ")
    problems += [
        f"{total.table} for {total.sink}: {total.difference} rows are unaccounted for"
        for total in read_totals(db)
        if total.difference
    ]
    batches, dead = db.execute(
        "SELECT (SELECT count(*) FROM batches), (SELECT count(*) FROM dead)"
    ).fetchone()
    return Verdict(tuple(problems), chunks, rows, batches, dead)
