"""Sealing, splitting and finishing: each is one transaction, safe to ask for again after an unknown outcome.

The order of a batch's life is delivery's; that a parent and its children never both exist is promised here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from sqlite3 import Connection

from tracker.batching import dead_letters, rejection_marks, unsent
from tracker.batching.contract import Sealed
from tracker.batching.cutting import cut
from tracker.batching.sealing import (
    Held,
    child_of,
    forget,
    inline_child,
    members,
    new_batch,
    read_batch,
    read_children,
    read_data,
    replayed_batch,
    shrink,
    without,
    write_down,
)
from tracker.batching.spool_memory import SpoolMemory
from tracker.batching.spool_schema import LOST, count
from tracker.errors import TrackerError

Transaction = Callable[[], AbstractContextManager[Connection]]


class BatchBook:
    """Used by the writer's thread only. Every method raises CannotStore when the disk does not take it, and
    then nothing happened."""

    def __init__(self, memory: SpoolMemory, transaction: Transaction) -> None:
        self._memory = memory
        self._transaction = transaction

    def unfinished(self, sink: str) -> list[Sealed]:
        """Every batch of this sink that is not finished, oldest rows first; delivery has them from now on."""
        batches = [held.sealed for held in self._memory.held.values() if held.sealed.sink == sink]
        self._memory.claim(sealed.id for sealed in batches)
        return batches

    def seal(self, sink: str, table: str, max_rows: int, max_bytes: int, now: float) -> Sealed | None:
        """A batch delivery does not know of yet, else the oldest waiting rows; None when nothing waits."""
        memory, key = self._memory, (sink, table)
        if key in memory.unclaimed:
            return self._claim_one(sink, table)
        backlog = memory.backlogs.get(key)
        if backlog is None or not backlog.rows:
            return None
        with self._transaction() as db:
            piece = cut(db, table, memory.lasts[table], backlog, max_rows, max_bytes)
            sealed = new_batch(sink, table, piece.first, piece.last, piece.last - piece.first + 1)
            held = write_down(db, sealed, now)
            _move_cursor(db, sealed, piece.rest.sealed, piece.rest.offset)
        memory.backlogs[key] = piece.rest
        memory.hold([held])
        return sealed

    def _claim_one(self, sink: str, table: str) -> Sealed:
        held = next(
            held
            for held in self._memory.held.values()
            if not held.is_handed_out and (held.sealed.sink, held.sealed.table) == (sink, table)
        )
        self.begin(held.sealed)
        self._memory.claim([held.sealed.id])
        return held.sealed

    def begin(self, sealed: Sealed) -> Sealed | None:
        """The batch as it is to be sent, under another id where it was cut anew; None when nothing is left of
        it. From now on it may have been sent."""
        memory = self._memory
        now = sealed
        while now.id in memory.cut_anew:
            found = memory.cut_anew[now.id]
            if found is None:
                return None
            now = found
        if now.id in memory.unsent:
            with self._transaction() as db:
                unsent.clear(db, now.id)
            memory.unsent.discard(now.id)
        return now

    def give_back(self, batches: Sequence[Sealed]) -> None:
        """Delivery never got these: `seal` hands them out again."""
        self._memory.claim((sealed.id for sealed in batches), is_handed_out=False)

    def finish(self, sealed: Sealed) -> None:
        """The sink has it."""
        with self._transaction() as db:
            if forget(db, sealed):
                count(db, sealed.sink, sealed.table, "delivered", sealed.rows)
        self._memory.let_go(sealed.id)

    def reject(self, sealed: Sealed, reasons: Mapping[int, str], now: float) -> Sealed | None:
        """Put rows aside by position, seal the rest as a child; None when no row is left."""
        if not reasons or not all(0 <= at < sealed.rows for at in reasons):
            raise TrackerError(
                f"batch {sealed.id}: rejected rows must be positions from 0 to {sealed.rows - 1}"
            )
        dead_bytes = 0
        with self._transaction() as db:
            if sealed.id in self._memory.held:
                lines = read_data(db, sealed).splitlines()
                kept = [at for at in range(sealed.rows) if at not in reasons]
                dead_bytes = dead_letters.put_aside(db, sealed, lines, reasons, now)
                if not sealed.is_replay:  # what was dead before says nothing new about the sink
                    rejection_marks.note(db, sealed.sink, sealed.table, len(reasons))
                children = self._replace(db, sealed, [kept] if kept else [], lines, now)
            else:
                children = read_children(db, sealed)
        self._replaced(sealed, children)
        self._memory.dead_bytes += dead_bytes
        return children[0].sealed if children else None

    def forgive(self, sink: str, table: str) -> None:
        """Forget what was rejected of this table so far."""
        with self._transaction() as db:
            rejection_marks.forgive(db, sink, table)

    def give_up(self, sealed: Sealed, lost: frozenset[int]) -> Sealed | None:
        """Count rows of a batch, by number, as lost to damage; what is left of it, None when nothing is."""
        with self._transaction() as db:
            left = read_batch(db, sealed.id)  # as it is now: this may be asked again after an unknown outcome
            if left is not None and (rows := lost.intersection(members(left))):
                left = without(left, rows)
                shrink(db, sealed, left)
                count(db, sealed.sink, sealed.table, LOST, len(rows))
        left = left and replace(left, is_repeat=sealed.is_repeat)
        self._memory.shrunk(sealed.id, left)
        return left

    def halve(self, sealed: Sealed, now: float) -> tuple[Sealed, Sealed]:
        """Replace a batch of at least two rows by two."""
        if sealed.rows < 2:
            raise TrackerError(f"batch {sealed.id} has {sealed.rows} row: it cannot be halved")
        halves = [range(sealed.rows // 2), range(sealed.rows // 2, sealed.rows)]
        with self._transaction() as db:
            if sealed.id in self._memory.held:
                lines = read_data(db, sealed).splitlines() if self._is_inline(sealed) else []
                children = self._replace(db, sealed, halves, lines, now)
            else:
                children = read_children(db, sealed)
        if len(children) != 2:
            raise TrackerError(f"batch {sealed.id} is not in the spool: it cannot be halved")
        self._replaced(sealed, children)
        return children[0].sealed, children[1].sealed

    def _is_inline(self, sealed: Sealed) -> bool:
        return self._memory.held[sealed.id].inline_bytes > 0

    def _replace(
        self,
        db: Connection,
        parent: Sealed,
        parts: Sequence[Sequence[int]],
        lines: Sequence[bytes],
        now: float,
    ) -> list[Held]:
        """Write children of these positions down in the parent's place."""
        if not forget(db, parent):
            raise TrackerError(f"batch {parent.id} is not in the spool: it cannot be split")
        is_inline, rows = self._is_inline(parent), members(parent)
        children = []
        for part in parts:
            child = (
                inline_child(parent, len(part)) if is_inline else child_of(parent, [rows[at] for at in part])
            )
            data = b"".join([lines[at] + b"\n" for at in part]) if is_inline else None
            children.append(write_down(db, child, now, parent.id, data))
            unsent.mark(db, child.id)
        return children

    def _replaced(self, parent: Sealed, children: Sequence[Held]) -> None:
        self._memory.let_go(parent.id)
        self._memory.unsent.update(child.sealed.id for child in children)
        self._memory.hold(replace(child, is_handed_out=True) for child in children)

    def replay(
        self, letters: Sequence[dead_letters.DeadLetter], edited: Mapping[int, bytes], now: float
    ) -> list[Sealed]:
        """Move dead letters into new sealed batches, which `seal` hands out next; see `take_out`."""
        made: list[Held] = []
        with self._transaction() as db:
            for parcel in dead_letters.parcels(letters):
                data = dead_letters.take_out(db, parcel, edited)
                sealed = replayed_batch(parcel[0].sink, parcel[0].table, len(parcel))
                made.append(replace(write_down(db, sealed, now, None, data), is_handed_out=False))
                unsent.mark(db, sealed.id)
        self._memory.dead_bytes -= sum(letter.size for letter in letters)
        self._memory.unsent.update(held.sealed.id for held in made)
        self._memory.hold(made)
        return [held.sealed for held in made]

    def drop_dead(self, letters: Sequence[dead_letters.DeadLetter]) -> int:
        """Remove dead letters for good; returns how many."""
        with self._transaction() as db:
            size = dead_letters.drop(db, letters, dead_letters.BY_COMMAND)
        self._memory.dead_bytes -= size
        return len(letters)


def _move_cursor(db: Connection, sealed: Sealed, to: int, offset: int) -> None:
    """Advance a backlog's cursor past a batch, and past the gaps right behind it."""
    key = (sealed.sink, sealed.table)
    jumped = to - sealed.last
    db.execute(
        "INSERT INTO cursors (sink, tbl, start, sealed, offset) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (sink, tbl) DO UPDATE SET start = start + excluded.start, sealed = excluded.sealed,"
        " offset = excluded.offset",
        (*key, jumped, to, offset),
    )
    if jumped:
        db.execute(
            "DELETE FROM gaps WHERE sink = ? AND tbl = ? AND first > ? AND last <= ?", (*key, sealed.last, to)
        )
