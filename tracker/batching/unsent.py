"""Which sealed batches surely never were sent: only these may be cut anew when a row of theirs must go.

A batch is sealed in order to be sent at once, so it counts as sent from the start. Parts of a split one and
dead letters that a person sends again wait; they are marked here until their first send begins. A file that
does not know of marks (or lost them) has none, and so is believed to have sent everything.
"""

import sqlite3

TABLES = """
CREATE TABLE IF NOT EXISTS unsent (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filler (n INTEGER PRIMARY KEY, room BLOB NOT NULL);
DELETE FROM unsent WHERE id NOT IN (SELECT id FROM batches);
"""
"""The marks, and room for `scrubbing`; safe to run again."""


def read(db: sqlite3.Connection) -> set[str]:
    """Ids of the batches that surely were never sent."""
    return {row[0] for row in db.execute("SELECT id FROM unsent JOIN batches USING (id)").fetchall()}


def mark(db: sqlite3.Connection, batch_id: str) -> None:
    """A batch was written down that waits for its first send."""
    db.execute("INSERT OR IGNORE INTO unsent VALUES (?)", (batch_id,))


def clear(db: sqlite3.Connection, batch_id: str) -> None:
    """Its first send begins, or it is no more."""
    db.execute("DELETE FROM unsent WHERE id = ?", (batch_id,))
