"""What is kept of erasures: receipts without personal data for good, and, while one is open, its subject.

One SQLite file beside the spool, for its owner only, in which deleted bytes are overwritten. Every method
blocks for a moment and raises TrackerError when the file cannot be used.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uuid_utils

from tracker.errors import TrackerError

FILE = "persons.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS receipts (
    id TEXT PRIMARY KEY, who BLOB NOT NULL, asked_at REAL NOT NULL, closed_at REAL, told TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS receipts_by_who ON receipts (who);
CREATE TABLE IF NOT EXISTS open (id TEXT PRIMARY KEY, subject TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS forgotten (mark BLOB PRIMARY KEY, until REAL NOT NULL);
"""

Marks = Mapping[bytes, float]
"""Keyed hashes of who was forgotten -> until when that counts, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One erasure. Times are Unix seconds, `closed_at` None while something of it is left."""

    id: str
    asked_at: float
    closed_at: float | None
    told: Mapping[str, Any]
    """Counts, never ids."""


class Receipts:
    """The file in this folder, made when it is needed first."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def begin(self, who: bytes, subject: str, marks: Marks, told: Mapping[str, Any], now: float) -> str:
        """An open receipt with all that the erasure needs to go on; its id. `who` is a keyed hash."""
        receipt = str(uuid_utils.uuid7())
        with self._transaction() as db:
            db.execute(
                "INSERT INTO receipts VALUES (?, ?, ?, NULL, ?)", (receipt, who, now, json.dumps(told))
            )
            db.execute("INSERT INTO open VALUES (?, ?)", (receipt, subject))
            self._remember(db, marks)
        return receipt

    def widen(self, receipt: str, subject: str, marks: Marks) -> None:
        """More is known of whom an open one is about."""
        with self._transaction() as db:
            db.execute("UPDATE open SET subject = ? WHERE id = ?", (subject, receipt))
            self._remember(db, marks)

    def note(self, receipt: str, told: Mapping[str, Any], closed_at: float | None) -> None:
        """What was done by now; once it is closed nothing is kept of whom it was about."""
        with self._transaction() as db:
            db.execute(
                "UPDATE receipts SET told = ?, closed_at = ? WHERE id = ?",
                (json.dumps(told), closed_at, receipt),
            )
            if closed_at is not None:
                db.execute("DELETE FROM open WHERE id = ?", (receipt,))

    def still_open(self) -> list[tuple[str, str]]:
        """Receipts and subjects of erasures that are to go on, oldest first."""
        if not self._path.exists():
            return []
        with self._transaction() as db:
            return db.execute("SELECT id, subject FROM open ORDER BY id").fetchall()

    def find(self, receipt: str) -> Receipt | None:
        """One receipt."""
        return next(iter(self._found("id", receipt)), None)

    def earlier(self, who: bytes) -> list[Receipt]:
        """Receipts about the same, oldest first."""
        return self._found("who", who)

    def forgotten(self, now: float) -> dict[bytes, float]:
        """The marks that still count."""
        if not self._path.exists():
            return {}
        with self._transaction() as db:
            db.execute("DELETE FROM forgotten WHERE until <= ?", (now,))
            return dict(db.execute("SELECT mark, until FROM forgotten").fetchall())

    def _found(self, column: str, value: str | bytes) -> list[Receipt]:
        if not self._path.exists():
            return []
        with self._transaction() as db:
            sql = f"SELECT id, asked_at, closed_at, told FROM receipts WHERE {column} = ? ORDER BY id"  # noqa: S608 (ours)
            rows = db.execute(sql, (value,)).fetchall()
        return [
            Receipt(one, asked_at, closed_at, json.loads(told)) for one, asked_at, closed_at, told in rows
        ]

    @staticmethod
    def _remember(db: sqlite3.Connection, marks: Marks) -> None:
        db.executemany(
            "INSERT INTO forgotten VALUES (?, ?)"
            " ON CONFLICT (mark) DO UPDATE SET until = max(until, excluded.until)",
            marks.items(),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
                db.execute("PRAGMA secure_delete = ON")
                db.execute("PRAGMA synchronous = FULL")
                db.executescript(_SCHEMA)
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise TrackerError(f"the receipts {self._path} cannot be used: {type(error).__name__}") from error
