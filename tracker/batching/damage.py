"""A spool file that cannot be trusted: how that is seen at start, and what is carried over into a new one.

The damaged file is kept aside untouched. What its small tables still say goes on: sequence numbers, sinks
and counters; rows that waited in it are counted as dropped by damage. A large file is not read through at
start, but its length and its index are looked at; a checksum is checked when its chunk is used, and one that
is wrong lets the next start read everything.
"""

import logging
import sqlite3
from dataclasses import dataclass

from tracker.batching import spool_schema
from tracker.batching.backlogs import read_backlogs, read_lasts
from tracker.batching.spool_files import SpoolFiles
from tracker.batching.totals import read_totals, verify

log = logging.getLogger(__name__)

_READ_THROUGH_BYTES = 64 * 1024 * 1024
_WAL_HEADER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Legacy:
    """What a damaged spool still told."""

    sequences: list[tuple[str, int]]
    sinks: list[tuple[str, int]]
    cursors: list[tuple[str, str, int]]
    """Sink, table and the start that makes `accepted` what it was."""
    counts: list[tuple[str, str, str, int]]

    @property
    def lost_rows(self) -> int:
        """Rows that were waiting or put aside, counted once per sink."""
        return sum(value for _, _, name, value in self.counts if name == _LOST)


_LOST = "dropped:damaged_spool"


def problem_of(files: SpoolFiles, suspicion: bool) -> str:
    """Why this file cannot be used as a spool, '' when it can; an empty new file can."""
    if files.file_bytes() == 0:
        has_history = files.has_ballast or files.wal_bytes() > _WAL_HEADER_BYTES
        return "the file is empty although there was a spool" if has_history else ""
    try:
        db = files.inspect()
    except sqlite3.Error as err:
        return str(err)
    try:
        return _problem(db, files, suspicion)
    except sqlite3.Error as err:
        return str(err)
    finally:
        db.close()


def _problem(db: sqlite3.Connection, files: SpoolFiles, suspicion: bool) -> str:
    if spool_schema.is_empty(db):
        return ""
    if not spool_schema.is_ours(db):
        return "not a spool of this version"
    (expected,) = db.execute(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ).fetchone()
    if files.file_bytes() < expected and files.wal_bytes() <= _WAL_HEADER_BYTES:
        return f"{expected - files.file_bytes()} bytes are missing at its end"
    if suspicion:
        return next(iter(verify(db).problems), "")
    if expected <= _READ_THROUGH_BYTES:
        verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            return str(verdict)
        if any(total.difference for total in read_totals(db)):
            return "its counters do not agree with its rows"
    return ""


def read_legacy(files: SpoolFiles) -> Legacy | None:
    """What can still be read of a damaged spool, None when that is not enough to go on counting."""
    try:
        db = files.inspect()
    except sqlite3.Error:
        return None
    try:
        return _legacy(db) if spool_schema.is_ours(db) else None
    except sqlite3.Error:
        return None
    finally:
        db.close()


def _legacy(db: sqlite3.Connection) -> Legacy:
    lasts = read_lasts(db)
    counts = {
        (row[0], row[1], row[2]): row[3] for row in db.execute("SELECT sink, tbl, name, value FROM counts")
    }
    cursors = []
    starts = {(row[0], row[1]): row[2] for row in db.execute("SELECT sink, tbl, start FROM cursors")}
    for (sink, table), backlog in read_backlogs(db, lasts).items():
        last = lasts.get(table, 0)
        gaps = sum((gap.last or last) - gap.first + 1 for gap in backlog.gaps)
        start = starts.get((sink, table), 0) + gaps
        known = sum(value for key, value in counts.items() if key[:2] == (sink, table))
        cursors.append((sink, table, start))
        lost = last - start - known
        if lost > 0:
            counts[sink, table, _LOST] = counts.get((sink, table, _LOST), 0) + lost
    sinks = db.execute("SELECT name, is_attached FROM sinks").fetchall()
    return Legacy(list(lasts.items()), sinks, cursors, [(*key, value) for key, value in counts.items()])


def carry_over(db: sqlite3.Connection, legacy: Legacy) -> None:
    """Let a new spool go on where the damaged one was, with nothing waiting. The caller's transaction."""
    lasts = dict(legacy.sequences)
    db.executemany("INSERT INTO sequences VALUES (?, ?)", legacy.sequences)
    db.executemany("INSERT INTO sinks VALUES (?, ?)", legacy.sinks)
    db.executemany(
        "INSERT INTO cursors VALUES (?, ?, ?, ?, 0)",
        [(sink, table, start, lasts[table]) for sink, table, start in legacy.cursors],
    )
    db.executemany(
        "INSERT INTO gaps SELECT ?, ?, ?, NULL",
        [
            (sink, table, lasts[table] + 1)
            for sink, table, _ in legacy.cursors
            if not dict(legacy.sinks).get(sink, 1)
        ],
    )
    db.executemany("INSERT INTO counts VALUES (?, ?, ?, ?)", legacy.counts)


def report(problem: str, kept_as: str, legacy: Legacy | None) -> None:
    """Say in one line what was lost."""
    rows = legacy.lost_rows if legacy else "unknown"
    fields = {"problem": problem, "kept_as": kept_as, "lost_rows": rows}
    log.error("damaged spool put aside, a new one started", extra={"fields": fields})


def prepare(files: SpoolFiles, now: float) -> None:
    """Leave a sound spool behind, new or as it was."""
    problem = problem_of(files, files.is_suspect)
    legacy = None
    if problem:
        legacy = read_legacy(files)
        report(problem, files.set_aside(now).name, legacy)
    db = files.connect(is_writer=True)
    try:
        if spool_schema.is_empty(db):
            spool_schema.create(db)
        if legacy:
            with db:
                db.execute("BEGIN")
                carry_over(db, legacy)
    finally:
        db.close()
    files.clear_suspicion()
    files.make_ballast()
    files.settle()
