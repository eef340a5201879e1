"""Batches in the spool: what a batch consists of, how it is split, how it is written down and forgotten.

Membership is decided here by plain functions; each change is one transaction of the caller's.
"""

import json
import sqlite3
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import uuid_utils

from tracker.batching.contract import Sealed
from tracker.batching.cutting import changed_rows, damaged, read_rows
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


def without(sealed: Sealed, lost: Collection[int]) -> Sealed | None:
    """What is left of a batch whose rows of these numbers cannot be read any more; None when that is nothing.

    It keeps its id: had it been written before, whole, the store takes none of its rows a second time.
    """
    rows = [row for row in members(sealed) if row not in lost]
    if not rows:
        return None
    left = child_of(sealed, rows)
    return replace(sealed, first=left.first, last=left.last, rows=left.rows, skipped=left.skipped)


def replayed_batch(sink: str, table: str, rows: int) -> Sealed:
    """A new batch of dead letters, which brings its rows along; they are numbered from 1."""
    return replace(new_batch(sink, table, 1, rows, rows), is_replay=True)


def inline_child(parent: Sealed, rows: int) -> Sealed:
    """A new batch of some rows of a replayed one."""
    return replayed_batch(parent.sink, parent.table, rows)


def write_down(
    db: sqlite3.Connection, sealed: Sealed, now: float, parent: str | None = None, data: bytes | None = None
) -> Held:
    """Store a batch's membership; `data` are its rows when no chunk holds them."""
    db.execute(
        "INSERT INTO batches (id, parent, sink, tbl, first, last, rows, skipped, sealed_at, crc, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            None if data is None else zlib.crc32(data),
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
    skips = frozenset(json.loads(skipped))
    sealed = Sealed(batch_id, sink, table, first, last, rows, skips, is_replay=inline_bytes > 0)
    return Held(sealed, sealed_at, inline_bytes)


def read_batches(db: sqlite3.Connection) -> dict[str, Held]:
    """Every batch that is not finished, by id: for each table oldest rows first, replayed ones last."""
    found = db.execute(f"{_BATCHES} ORDER BY sink, tbl, data IS NOT NULL, first, n").fetchall()
    return {row[0]: _held(row) for row in found}


def read_batch(db: sqlite3.Connection, batch_id: str) -> Sealed | None:
    """A batch that is not finished, None when there is none of this id."""
    found = db.execute(f"{_BATCHES} WHERE id = ?", (batch_id,)).fetchone()
    return _held(found).sealed if found else None


def shrink(db: sqlite3.Connection, sealed: Sealed, left: Sealed | None) -> None:
    """Let a batch have only the rows that are left, or forget it when that is none."""
    if left is None:
        forget(db, sealed)
        return
    skipped = json.dumps(sorted(left.skipped))
    db.execute(
        "UPDATE batches SET first = ?, last = ?, rows = ?, skipped = ? WHERE id = ?",
        (left.first, left.last, left.rows, skipped, left.id),
    )


def read_changed(db: sqlite3.Connection, sealed: Sealed) -> frozenset[int]:
    """The batch's rows, by number, that are not as they were stored. Raises SpoolDamaged."""
    found = db.execute("SELECT data, crc FROM batches WHERE id = ?", (sealed.id,)).fetchone()
    if found is None or found[0] is None:
        return changed_rows(db, sealed)
    return frozenset(members(sealed)) if zlib.crc32(found[0]) != found[1] else frozenset()


def read_children(db: sqlite3.Connection, parent: Sealed) -> list[Held]:
    """What a batch was split into, oldest first; empty when it was not."""
    found = db.execute(f"{_BATCHES} WHERE parent = ? ORDER BY n", (parent.id,)).fetchall()
    return [_held(row) for row in found]


def read_data(db: sqlite3.Connection, sealed: Sealed) -> bytes:
    """The batch's bytes, the same at each call. Raises TrackerError when it is finished or damaged."""
    found = db.execute("SELECT data, crc FROM batches WHERE id = ?", (sealed.id,)).fetchone()
    if found is None:
        raise TrackerError(f"batch {sealed.id} of {sealed.table} for {sealed.sink} is not in the spool")
    data, crc = found
    if data is None:
        return read_rows(db, sealed)
    if zlib.crc32(data) != crc:
        raise damaged(sealed)
    return bytes(data)
