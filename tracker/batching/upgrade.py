"""A spool that an earlier version made goes on as one of this version: what waited in it is delivered.

One transaction, so that a start that is cut off finds the file as it was. A row whose checksum was wrong
keeps a wrong one, and is dealt with as damage when it is read.
"""

import logging
import sqlite3
import zlib
from contextlib import closing

from tracker.batching import rejection_marks, spool_schema
from tracker.batching.spool_copies import copying
from tracker.batching.spool_files import UNREADABLE, SpoolFiles
from tracker.batching.spool_schema import checksum

log = logging.getLogger(__name__)

_TABLES = ("chunks", "sequences", "sinks", "cursors", "gaps", "batches", "dead", "counts", "seen")
_VERSION_AT, _HEADER_BYTES = 60, 64
"""Where a database's header has its user_version (SQLite's file format, 1.3)."""
_WRONG = -1
"""The checksum of nothing."""

_MOVE = """
INSERT INTO sequences SELECT tbl, last, 0, 0 FROM v1_sequences;
INSERT INTO sinks SELECT name, is_attached FROM v1_sinks;
INSERT INTO cursors SELECT sink, tbl, start, sealed, offset FROM v1_cursors;
INSERT INTO gaps SELECT sink, tbl, first, last FROM v1_gaps;
INSERT INTO counts SELECT sink, tbl, name, value FROM v1_counts;
INSERT INTO seen SELECT n, at, ids FROM v1_seen;
INSERT INTO chunks (tbl, first, last, bytes, upto, crc, created, data)
    SELECT tbl, first, last, bytes, sum(bytes) OVER (PARTITION BY tbl ORDER BY first),
        carried(tbl, first, last, data, crc), created, data FROM v1_chunks ORDER BY id;
INSERT INTO batches (n, id, parent, sink, tbl, first, last, rows, skipped, sealed_at, crc, data)
    SELECT n, id, parent, sink, tbl, first, last, rows, skipped, sealed_at,
        CASE WHEN data IS NOT NULL THEN crc32(data) END, data FROM v1_batches;
INSERT INTO dead (id, sink, tbl, batch, at, bytes, reason, crc, line)
    SELECT id, sink, tbl, batch, at, bytes, reason, crc32(line), line FROM v1_dead;
"""


def upgrade(files: SpoolFiles) -> None:
    """Bring a file of version 1 up to date; others stay as they are, and so does one that is damaged.

    Raises sqlite3.Error when the disk does not take it, and nothing changed.
    """
    if _is_surely_new(files) or not _is_of_version_1(files):
        return
    log.info("spool of an earlier version is brought up to date")
    try:
        _rewrite(files)
    except sqlite3.DatabaseError as err:
        if getattr(err, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        log.warning("spool of an earlier version is damaged")  # it is put aside next


def _rewrite(files: SpoolFiles) -> None:
    with closing(files.connect(is_writer=True)) as db:
        db.create_function("crc32", 1, zlib.crc32, deterministic=True)
        db.create_function("carried", 5, _carried, deterministic=True)
        db.executescript(_script())


def _is_surely_new(files: SpoolFiles) -> bool:
    """Told without SQLite, which would read the log: what the log was before says whether it is damaged."""
    with files.path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    version = int.from_bytes(header[_VERSION_AT:_HEADER_BYTES], "big")
    return files.was_cut_off or not header or version == spool_schema.VERSION


def _is_of_version_1(files: SpoolFiles) -> bool:
    try:
        with closing(files.inspect()) as db:
            marks = db.execute("SELECT * FROM pragma_application_id, pragma_user_version").fetchone()
    except UNREADABLE:
        return False  # whatever it is, `damage` says so
    return tuple(marks) == (spool_schema.APPLICATION_ID, 1)


def _script() -> str:
    away = "".join(f"ALTER TABLE {table} RENAME TO v1_{table};" for table in _TABLES)
    gone = "".join(f"DROP TABLE v1_{table};" for table in _TABLES)
    indices = "DROP INDEX chunks_by_row; DROP INDEX dead_by_sink;"
    made = f"{spool_schema.SCHEMA} {rejection_marks.TABLE}; {copying(spool_schema.VERSION)}"
    version = f"PRAGMA user_version = {spool_schema.VERSION};"
    return f"BEGIN IMMEDIATE; DROP VIEW intake; {indices} {away} {made} {_MOVE} {gone} {version} COMMIT;"


def _carried(table: str, first: int, last: int, data: bytes, crc: int) -> int:
    return checksum(table, first, last, data) if zlib.crc32(data) == crc else _WRONG
