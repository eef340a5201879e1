"""The spool's tables, and the marks by which a file is known as a spool of this version.

What the tables mean together (conservation, cutting, trimming) is said where it is done.
"""

import sqlite3
import zlib

from tracker.batching import rejection_marks
from tracker.batching.spool_copies import copying

APPLICATION_ID = 0x74726B73
"""Written into the file's header: a database without it is not a spool."""
VERSION = 2
LOST = "dropped:damaged_spool"
"""Counter of the rows that damage to the file cost a sink."""

SCHEMA = """
-- Rows as they arrived: one chunk per commit and table; `upto` sums the bytes of a table's chunks up to and
-- with this one; `crc` is `checksum`; `data` stays last, so that scans do not read it.
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    tbl TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    created REAL NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX chunks_by_row ON chunks (tbl, first, last, bytes, upto, created);

-- Of a table whose first chunks, or all, are gone: its last sequence number and `upto` when chunks last went,
-- and how many bytes went so far.
CREATE TABLE sequences (
    tbl TEXT PRIMARY KEY,
    last INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    trimmed INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sinks (name TEXT PRIMARY KEY, is_attached INTEGER NOT NULL) WITHOUT ROWID;

-- Rows up to `start` never were this sink's; rows up to `sealed` are in batches or done;
-- `offset` is how many bytes of the chunk that holds row sealed + 1 are sealed already.
CREATE TABLE cursors (
    sink TEXT NOT NULL,
    tbl TEXT NOT NULL,
    start INTEGER NOT NULL,
    sealed INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (sink, tbl)
) WITHOUT ROWID;

-- Rows that arrived while a sink was not configured; `last` is NULL while it still is not.
CREATE TABLE gaps (
    sink TEXT NOT NULL,
    tbl TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER,
    PRIMARY KEY (sink, tbl, first)
) WITHOUT ROWID;

-- Sealed and not finished. `data` holds the rows of a replayed batch and `crc` their checksum, NULL where
-- chunks hold them.
CREATE TABLE batches (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    parent TEXT,
    sink TEXT NOT NULL,
    tbl TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    skipped TEXT NOT NULL,
    sealed_at REAL NOT NULL,
    crc INTEGER,
    data BLOB
);

CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL,
    tbl TEXT NOT NULL,
    batch TEXT NOT NULL,
    at REAL NOT NULL,
    bytes INTEGER NOT NULL,
    reason TEXT NOT NULL,
    crc INTEGER NOT NULL,
    line BLOB NOT NULL
);
CREATE INDEX dead_by_sink ON dead (sink, tbl, bytes);

-- `delivered`, and `dropped:<reason>`.
CREATE TABLE counts (
    sink TEXT NOT NULL,
    tbl TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (sink, tbl, name)
) WITHOUT ROWID;

-- Client event ids, 16 bytes each, of one commit; `n` numbers the first of them.
CREATE TABLE seen (n INTEGER PRIMARY KEY, at REAL NOT NULL, ids BLOB NOT NULL);

-- One INSERT here is one whole commit: a single statement is a single wait for the interpreter's lock.
CREATE VIEW intake AS
    SELECT tbl, first, last, bytes, upto, crc, created, data, 0 AS n, NULL AS ids FROM chunks;
CREATE TRIGGER take_in INSTEAD OF INSERT ON intake BEGIN
    INSERT INTO chunks (tbl, first, last, bytes, upto, crc, created, data) VALUES (
        NEW.tbl, NEW.first, NEW.last, NEW.bytes, NEW.upto, NEW.crc, NEW.created, NEW.data);
    INSERT INTO seen SELECT NEW.n, NEW.created, NEW.ids WHERE NEW.ids IS NOT NULL;
END;
"""


def create(db: sqlite3.Connection) -> None:
    """Make the tables in an empty database, all or none."""
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {marks} {SCHEMA} {rejection_marks.TABLE}; {copying(VERSION)} COMMIT;")


def checksum(table: str, first: int, last: int, data: bytes | memoryview) -> int:
    """What tells whether rows are those that were stored, under these numbers, in this table."""
    return zlib.crc32(data, zlib.crc32(b"%b %d %d " % (table.encode(), first, last)))


def is_empty(db: sqlite3.Connection) -> bool:
    """Nothing was ever made in this database."""
    return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def is_ours(db: sqlite3.Connection) -> bool:
    """The file says it is a spool of this version."""
    marks = db.execute("SELECT * FROM pragma_application_id, pragma_user_version").fetchone()
    return tuple(marks) == (APPLICATION_ID, VERSION)


def count(db: sqlite3.Connection, sink: str, table: str, name: str, rows: int) -> None:
    """Add rows to a persisted counter of one sink and table."""
    db.execute(
        "INSERT INTO counts VALUES (?, ?, ?, ?)"
        " ON CONFLICT (sink, tbl, name) DO UPDATE SET value = value + excluded.value",
        (sink, table, name, rows),
    )
