"""A spool file that cannot be trusted: how that is seen at start, and what is done about it.

The damaged file is kept aside as it was; what it still holds goes on in a new one (`salvage`). A large file
is not read through at start, but its length, its log and its small tables are looked at; a chunk's checksum
is looked at when the chunk is used, and one that is wrong lets the next start read everything.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from tracker.batching import rejection_marks, spool_copies, spool_schema, unsent
from tracker.batching.raw_log import HEADER_BYTES, Seen, read_index, trouble
from tracker.batching.salvage import Salvaged, salvage
from tracker.batching.spool_files import UNREADABLE, SpoolFiles
from tracker.batching.totals import missing_rows, read_totals, verify
from tracker.batching.upgrade import upgrade
from tracker.batching.wreck import Wreck
from tracker.errors import TrackerError

log = logging.getLogger(__name__)

_READ_THROUGH_BYTES = 64 * 1024 * 1024


def prepare(files: SpoolFiles, now: float) -> None:
    """Leave a sound spool behind, new or as it was. Raises sqlite3.Error, OSError, TrackerError."""
    if files.finish_replacing(now):
        log.warning("salvaged spool taken over from a start that was cut off")
    files.undo_half_made()
    upgrade(files)
    acknowledged = read_index(_index(files))  # SQLite makes another when it opens the log
    problem = problem_of(files, acknowledged)
    if problem:
        _rescue(files, problem, acknowledged, now)
    files.forget_use()
    with closing(files.connect(is_writer=True)) as db:
        if spool_schema.is_empty(db):
            spool_schema.create(db)
        db.execute(rejection_marks.TABLE)  # a file that was made earlier may be without it
        db.executescript(unsent.TABLES)
    files.count_aside()
    files.clear_suspicion()
    files.make_ballast()
    files.settle()


def problem_of(files: SpoolFiles, acknowledged: Seen) -> str:
    """Why this file cannot be used as a spool, '' when it can; an empty new file can."""
    if files.is_log_missing:
        return "its log is missing"
    if files.file_bytes() == 0:
        has_history = files.has_ballast or files.wal_bytes() > HEADER_BYTES
        return "the file is empty although there was a spool" if has_history else ""
    try:
        with closing(files.inspect()) as db:
            spool_schema.is_empty(db)  # SQLite reads the log now
            wal = Path(f"{files.path}-wal")
            return trouble(wal, _page_bytes(db), acknowledged, read_index(_index(files))) or _problem(
                db, files
            )
    except UNREADABLE as err:
        return str(err) if isinstance(err, sqlite3.Error) else "its schema cannot be read"


def _index(files: SpoolFiles) -> Path:
    return Path(f"{files.path}-shm")


def _page_bytes(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA page_size").fetchone()[0])


def _problem(db: sqlite3.Connection, files: SpoolFiles) -> str:
    if spool_schema.is_empty(db):
        return ""
    if not spool_schema.is_ours(db):
        return "not a spool of this version"
    size = db.execute("PRAGMA page_count").fetchone()[0] * _page_bytes(db)
    if files.file_bytes() < size and files.wal_bytes() <= HEADER_BYTES:
        return f"{size - files.file_bytes()} bytes are missing at its end"
    if table := spool_copies.difference(db):
        return f"its table {table} is not what was written"
    if files.is_suspect:
        return next(iter(verify(db).problems), "")
    return _problem_of_small(db) if size <= _READ_THROUGH_BYTES else ""


def _problem_of_small(db: sqlite3.Connection) -> str:
    """What only reading all but the rows themselves can tell."""
    verdict = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        return str(verdict)
    if any(total.difference for total in read_totals(db)):
        return "its counters do not agree with its rows"
    return next(iter(missing_rows(db)), "")


def _rescue(files: SpoolFiles, problem: str, acknowledged: Seen, now: float) -> None:
    """Put the file aside, with a new one in its place that has what could be saved."""
    fields = {"problem": problem, "bytes": files.file_bytes() + files.wal_bytes()}
    log.warning("spool is damaged, the start waits until it is read through", extra={"fields": fields})
    files.give_up_ballast()
    try:
        with closing(Wreck(files.path, acknowledged)) as wreck:
            saved = salvage(wreck, files.salvage_path)
    except (sqlite3.Error, OSError) as err:
        files.salvage_path.unlink(missing_ok=True)
        raise TrackerError(
            f"the damaged spool {files.path} cannot be carried over ({err}): nothing of it was changed;"
            f" make room for up to {fields['bytes']} bytes beside it, or move it away by hand"
        ) from err
    _report(problem, files.replace(now).name, saved)


def _report(problem: str, kept_as: str, saved: Salvaged) -> None:
    """Say in one line what was lost."""
    fields: dict[str, object] = {"problem": problem, "kept_as": kept_as, "kept_rows": saved.kept_rows}
    if saved.lost is None:
        fields["lost_rows"] = "unknown"
    else:
        fields["lost_rows"] = sum(saved.lost.values())
        fields["lost"] = {f"{table} for {sink}": rows for (sink, table), rows in saved.lost.items()}
    log.error("damaged spool put aside, what could be read of it goes on", extra={"fields": fields})
