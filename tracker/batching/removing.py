"""Rows that must go, or be changed, while they wait: taken out of chunks, batches and dead letters.

Conservation stays exact: what a sink does not get any more is counted as dropped, reason `forgotten`. A batch
that may have been sent keeps its rows and bytes: its rows are left, and have to be looked for again when it
is done. One that surely never was is cut anew under a new id. Each call is one transaction.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from sqlite3 import Connection
from typing import NamedTuple

from tracker.batching import chunk_surgery, dead_letters, unsent
from tracker.batching.backlogs import NO_ROWS, Backlog, BacklogKey, Cursor
from tracker.batching.contract import Sealed
from tracker.batching.judged_rows import GONE, Changes
from tracker.batching.sealing import (
    Held,
    child_of,
    forget,
    members,
    read_data,
    replayed_batch,
    write_down,
)
from tracker.batching.settling import Span, Stand, joined, settled
from tracker.batching.spool_memory import SpoolMemory
from tracker.batching.spool_schema import count

REASON = "forgotten"
FORGOTTEN = f"dropped:{REASON}"


class Removed(NamedTuple):
    """What became of the rows that were to be changed."""

    dropped: Mapping[BacklogKey, int]
    """Rows that sinks do not get any more, by sink and table."""
    left: int = 0
    """Rows that batches of unknown outcome still hold."""


class Removal:
    """Used by the writer's thread only. Every method raises CannotStore, and then nothing happened; after
    it, memory must be read again."""

    def __init__(
        self, memory: SpoolMemory, transaction: Callable[[], AbstractContextManager[Connection]]
    ) -> None:
        self._memory = memory
        self._transaction = transaction

    def rows(self, table: str, changes: Changes) -> Removed:
        """Change rows of a table that chunks hold, by number."""
        memory = self._memory
        if not memory.sinks:  # kept for whoever comes first, who counts from the first row
            return Removed({}, len(changes))
        dropped: Counter[BacklogKey] = Counter()
        anew: dict[str, Held | None] = {}
        pinned: set[int] = set()
        with self._transaction() as db:
            for held in self._batches(table):
                mine = [row for row in members(held.sealed) if row in changes]
                if not mine:
                    continue
                if held.sealed.id not in memory.unsent:
                    pinned.update(mine)
                    continue
                gone = {row for row in mine if changes[row] == GONE}
                anew[held.sealed.id] = _cut_anew(db, held, gone)
                dropped[held.sealed.sink, table] += len(gone)
            holes = joined((row, row) for row, line in changes.items() if line == GONE)
            moved = {
                key: _step_over(db, key, one, self._last(table), holes) for key, one in self._backlogs(table)
            }
            dropped.update({key: rows for key, (_, rows) in moved.items()})
            _, damaged = chunk_surgery.rewrite(db, table, memory.ends.get(table, NO_ROWS), changes, pinned)
            for key, (cursor, _) in moved.items():
                _place(db, key, cursor)
            _count(db, dropped)
        self._replaced(anew)
        return Removed({key: rows for key, rows in dropped.items() if rows}, len(pinned) + damaged)

    def replay(self, batch_id: str, changes: Changes) -> Removed:
        """Change rows, by position, of a batch that brings its rows along."""
        held = self._memory.held.get(batch_id)
        if held is None:
            return Removed({})
        if batch_id not in self._memory.unsent:
            return Removed({}, len(changes))
        gone = sum(1 for line in changes.values() if line == GONE)
        key = (held.sealed.sink, held.sealed.table)
        with self._transaction() as db:
            lines = read_data(db, held.sealed).splitlines()
            kept = [changes.get(at, line) for at, line in enumerate(lines)]
            data = b"".join([line + b"\n" for line in kept if line != GONE])
            made = _written(db, held, replayed_batch(*key, len(lines) - gone) if data else None, data)
            _count(db, {key: gone})
        self._replaced({batch_id: made})
        return Removed({key: gone} if gone else {})

    def letters(self, changes: Changes) -> Removed:
        """Change dead letters, by id."""
        with self._transaction() as db:
            letters = dead_letters.find_these(db, changes, dead_letters.DeadFilter())
            gone = [letter for letter in letters if changes[letter.id] == GONE]
            dead_letters.drop(db, gone, REASON)
            db.executemany(
                "UPDATE dead SET line = ?, bytes = ?, crc = ? WHERE id = ?",
                [(line, len(line), zlib.crc32(line), one) for one, line in changes.items() if line != GONE],
            )
        return Removed(Counter((letter.sink, letter.table) for letter in gone))

    def _batches(self, table: str) -> list[Held]:
        batches = self._memory.held.values()
        return [held for held in batches if held.sealed.table == table and not held.inline_bytes]

    def _backlogs(self, table: str) -> list[tuple[BacklogKey, Backlog]]:
        return [(key, backlog) for key, backlog in self._memory.backlogs.items() if key[1] == table]

    def _last(self, table: str) -> int:
        return self._memory.ends.get(table, NO_ROWS).last

    def _replaced(self, anew: Mapping[str, Held | None]) -> None:
        memory = self._memory
        for old, made in anew.items():
            was = memory.held.pop(old)
            memory.unsent.discard(old)
            if made is not None:
                memory.held[made.sealed.id] = replace(made, is_handed_out=was.is_handed_out)
                memory.unsent.add(made.sealed.id)
            if was.is_handed_out:
                memory.cut_anew[old] = made.sealed if made else None


def _cut_anew(db: Connection, held: Held, gone: set[int]) -> Held | None:
    rows = [row for row in members(held.sealed) if row not in gone]
    return _written(db, held, child_of(held.sealed, rows) if rows else None, None)


def _written(db: Connection, held: Held, sealed: Sealed | None, data: bytes | None) -> Held | None:
    """Write a batch down in the place of one that was never sent, or nothing."""
    (parent,) = db.execute("SELECT parent FROM batches WHERE id = ?", (held.sealed.id,)).fetchone()
    forget(db, held.sealed)
    unsent.clear(db, held.sealed.id)
    if sealed is None:
        return None
    unsent.mark(db, sealed.id)
    return write_down(db, sealed, held.sealed_at, parent, data)


def _step_over(
    db: Connection, key: BacklogKey, backlog: Backlog, last: int, holes: list[Span]
) -> tuple[Cursor, int]:
    """Make these rows gaps of a sink's backlog; its cursor then, and how many rows that were."""
    found = db.execute("SELECT start, sealed, offset FROM cursors WHERE sink = ? AND tbl = ?", key).fetchone()
    cursor = Cursor(*found) if found else Cursor()
    after = settled(Stand(cursor, backlog.gaps, last, done=0, dead=0, sealed=0), holes)
    rows = backlog.rows - after.waiting
    if not rows:
        return cursor, 0
    db.execute("DELETE FROM gaps WHERE sink = ? AND tbl = ?", key)
    db.executemany("INSERT INTO gaps VALUES (?, ?, ?, ?)", [(*key, *gap) for gap in after.gaps])
    return after.cursor, rows


def _place(db: Connection, key: BacklogKey, cursor: Cursor) -> None:
    """Write the cursor down; how far into its chunk it stands is told by the chunks as they are now."""
    offset = chunk_surgery.offset_of(db, key[1], cursor.sealed + 1)
    db.execute(
        "INSERT INTO cursors (sink, tbl, start, sealed, offset) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (sink, tbl) DO UPDATE"
        " SET start = excluded.start, sealed = excluded.sealed, offset = excluded.offset",
        (*key, cursor.start, cursor.sealed, offset),
    )


def _count(db: Connection, dropped: Mapping[BacklogKey, int]) -> None:
    for (sink, table), rows in dropped.items():
        if rows:
            count(db, sink, table, FORGOTTEN, rows)
