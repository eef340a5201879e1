"""Batches in the spool: what a batch consists of, how it is split, how it is written down and forgotten.

Membership is decided here by plain functions; each change is one transaction of the caller's.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import uuid_utils

from tracker.batching.contract import Sealed
from tracker.batching.cutting import read_rows
from tracker.errors import TrackerError


@dataclass(frozen=True, slots=True)
class Held:
    """A batch that is sealed and not finished."""

    sealed: Sealed
    sealed_at: float
    inline_bytes: int = 0
    """Bytes of its own rows when it came from dead letters, 0 when chunks hold them."""
    is_handed_out: bool = False
    """Delivery knows of it."""


def new_batch(
    sink: str, table: str, first: int, last: int, rows: int, skipped: frozenset[int] = frozenset()
) -> Sealed:
    """A sealed batch with a new id; nothing is stored yet."""
    return Sealed(str(uuid_utils.uuid7()), sink, table, first, last, rows, skipped)


def members(sealed: Sealed) -> list[int]:
    """The sequence numbers of a batch's rows, by position."""
    span = range(sealed.first, sealed.last + 1)
    return [row for row in span if row not in sealed.skipped] if sealed.skipped else list(span)


def child_of(parent: Sealed, rows: Sequence[int]) -> Sealed:
    """A new batch of some of the parent's rows, given by sequence number in order; at least one."""
    first, last = rows[0], rows[-1]
    skipped = frozenset(range(first, last + 1)) - frozenset(rows)
    return new_batch(parent.sink, parent.table, first, last, len(rows), skipped)


def inline_child(parent: Sealed, rows: int) -> Sealed:
    """A new batch that brings its rows along; they are numbered from 1."""
    return new_batch(parent.sink, parent.table, 1, rows, rows)


def write_down(
    db: sqlite3.Connection, sealed: Sealed, now: float, parent: str | None = None, data: bytes | None = None
) -> Held:
    """Store a batch's membership; `data` are its rows when no chunk holds them."""
    db.execute(
        "INSERT INTO batches (id, parent, sink, tbl, first, last, rows, skipped, sealed_at, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            sealed.id,
            parent,
            sealed.sink,
            sealed.table,
            sealed.first,
            sealed.last,
            sealed.rows,
            json.dumps(sorted(sealed.skipped)),
            now,
            data,
        ),
    )
    return Held(sealed, now, len(data or b""), is_handed_out=True)


def forget(db: sqlite3.Connection, sealed: Sealed) -> bool:
    """Remove a batch; False when it was gone already."""
    return db.execute("DELETE FROM batches WHERE id = ?", (sealed.id,)).rowcount == 1


_BATCHES = (
    "SELECT id, sink, tbl, first, last, rows, skipped, sealed_at, coalesce(length(data), 0) FROM batches"
)


def _held(row: tuple[str, str, str, int, int, int, str, float, int]) -> Held:
    batch_id, sink, table, first, last, rows, skipped, sealed_at, inline_bytes = row
    sealed = Sealed(batch_id, sink, table, first, last, rows, frozenset(json.loads(skipped)))
    return Held(sealed, sealed_at, inline_bytes)


def read_batches(db: sqlite3.Connection) -> dict[str, Held]:
    """Every batch that is not finished, by id: for each table oldest rows first, replayed ones last."""
    found = db.execute(f"{_BATCHES} ORDER BY sink, tbl, data IS NOT NULL, first, n").fetchall()
    return {row[0]: _held(row) for row in found}


def read_children(db: sqlite3.Connection, parent: Sealed) -> list[Held]:
    """What a batch was split into, oldest first; empty when it was not."""
    found = db.execute(f"{_BATCHES} WHERE parent = ? ORDER BY n", (parent.id,)).fetchall()
    return [_held(row) for row in found]


def read_data(db: sqlite3.Connection, sealed: Sealed) -> bytes:
    """The batch's bytes, the same at each call. Raises TrackerError when it is finished or damaged."""
    found = db.execute("SELECT data FROM batches WHERE id = ?", (sealed.id,)).fetchone()
    if found is None:
        raise TrackerError(f"batch {sealed.id} of {sealed.table} for {sealed.sink} is not in the spool")
    return found[0] if found[0] is not None else read_rows(db, sealed)
