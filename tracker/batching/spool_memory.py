"""What the writer keeps in memory of the spool, small whatever waits: counters, cursors, open batches, ids.

Everything here can be read again from the database, and is, at start and after the connection was replaced.
Changes are made only after the transaction they mirror is durable.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from tracker.batching import unsent
from tracker.batching.backlogs import (
    NO_ROWS,
    Backlog,
    BacklogKey,
    End,
    read_backlogs,
    read_extents,
    read_sinks,
)
from tracker.batching.contract import Sealed
from tracker.batching.intake import Intake
from tracker.batching.remembered import RememberedIds
from tracker.batching.sealing import Held, read_batches
from tracker.parts import is_for


class SpoolMemory:
    """Written by the writer's thread only; other threads may read single values."""

    def __init__(self, db: sqlite3.Connection, remember_ids: int) -> None:
        self.held: dict[str, Held] = {}
        self.ends: dict[str, End] = {}
        """Where each table ends."""
        self.sinks: dict[str, bool] = {}
        self.backlogs: dict[BacklogKey, Backlog] = {}
        self.unclaimed: dict[BacklogKey, tuple[int, int, float]] = {}
        """Rows, bytes and time of sealed batches that delivery does not know of yet."""
        self.live_bytes = 0
        """Bytes of the rows that wait, and of those not tidied up yet."""
        self.dead_bytes = 0
        self.firsts: dict[str, int] = {}
        """Table to the first row that chunks hold; kept up to date only while there is no sink."""
        self.unsent: set[str] = set()
        """Ids of batches that surely never were sent."""
        self.cut_anew: dict[str, Sealed | None] = {}
        """Batches that delivery knows by an id that is no more -> what took their place; None for nothing."""
        self.untidy: set[str] = set()
        """Tables that may have rows nobody needs."""
        self.read(db)
        self.remembered = RememberedIds(db, remember_ids)
        for batch_id, held in self.held.items():
            self.held[batch_id] = replace(
                held, sealed=replace(held.sealed, is_repeat=True), is_handed_out=False
            )
        self.count_unclaimed()

    def read(self, db: sqlite3.Connection) -> None:
        """Take everything but the ids from the database again; batches that delivery has stay with it."""
        extents = read_extents(db)
        self.ends = {table: extent.end for table, extent in extents.items()}
        self.sinks = read_sinks(db)
        self.backlogs = read_backlogs(db, self.lasts)
        self.held = {batch_id: self.held.get(batch_id, held) for batch_id, held in read_batches(db).items()}
        self.firsts = {
            table: extent.first for table, extent in extents.items() if extent.first <= extent.end.last
        }
        self.unsent = unsent.read(db)
        self.untidy = set(self.firsts)
        (self.dead_bytes,) = db.execute("SELECT coalesce(sum(bytes), 0) FROM dead").fetchone()
        inline_bytes = sum(held.inline_bytes for held in self.held.values())
        self.live_bytes = sum(extent.bytes for extent in extents.values()) + inline_bytes
        self.count_unclaimed()

    def stored(self, intake: Intake, now: float) -> None:
        """A commit is durable."""
        for chunk in intake.chunks:
            rows = chunk.last - chunk.first + 1
            is_new = chunk.table not in self.ends
            self.ends[chunk.table] = End(chunk.last, chunk.upto)
            self.firsts.setdefault(chunk.table, chunk.first)
            is_awaited = False
            for sink, is_attached in self.sinks.items():
                backlog = self.backlogs.get(
                    (sink, chunk.table),
                    Backlog() if is_new and is_attached and is_for(chunk.table, sink) else None,
                )
                if backlog is not None and backlog.is_open:
                    self.backlogs[sink, chunk.table] = backlog.arrived(rows, chunk.size, now)
                    is_awaited = True
            if not is_awaited:
                self.untidy.add(chunk.table)
        self.live_bytes += intake.bytes
        self.remembered.add(intake.client_ids)

    @property
    def lasts(self) -> dict[str, int]:
        """Table to its last sequence number."""
        return {table: end.last for table, end in self.ends.items()}

    def hold(self, batches: Iterable[Held]) -> None:
        """Batches were written down."""
        for held in batches:
            self.held[held.sealed.id] = held
            self.live_bytes += held.inline_bytes
        self.count_unclaimed()

    def let_go(self, batch_id: str) -> None:
        """A batch is finished or was replaced."""
        held = self.held.pop(batch_id, None)
        if held is not None:
            self.live_bytes -= held.inline_bytes
            self.untidy.add(held.sealed.table)

    def shrunk(self, batch_id: str, left: Sealed | None) -> None:
        """A batch lost rows, or with None all it had."""
        if left is None:
            self.let_go(batch_id)
        elif batch_id in self.held:
            self.held[batch_id] = replace(self.held[batch_id], sealed=left)

    def claim(self, batch_ids: Iterable[str], *, is_handed_out: bool = True) -> None:
        """Delivery took these batches, or gave them back."""
        for batch_id in batch_ids:
            if batch_id in self.held:
                self.held[batch_id] = replace(self.held[batch_id], is_handed_out=is_handed_out)
        self.count_unclaimed()

    def count_unclaimed(self) -> None:
        """Bring `unclaimed` up to date."""
        counted: dict[BacklogKey, tuple[int, int, float]] = {}
        for held in self.held.values():
            if not held.is_handed_out:
                key = (held.sealed.sink, held.sealed.table)
                rows, size, at = counted.get(key, (0, 0, held.sealed_at))
                counted[key] = (rows + held.sealed.rows, size + held.inline_bytes, min(at, held.sealed_at))
        self.unclaimed = counted

    def needless(self, table: str) -> list[tuple[int, int]]:
        """First and last of each run of the table's rows that no sink needs any more."""
        if not self.sinks:
            return []
        last = self.ends.get(table, NO_ROWS).last
        needed = [
            interval
            for (_, its_table), backlog in self.backlogs.items()
            if its_table == table and backlog.rows
            for interval in backlog.intervals(last)
        ]
        needed += [
            (held.sealed.first, held.sealed.last)
            for held in self.held.values()
            if held.sealed.table == table and not held.inline_bytes
        ]
        return _between(sorted(needed), last)


def _between(needed: list[tuple[int, int]], last: int) -> list[tuple[int, int]]:
    """What these intervals, in order, leave of 1 to `last`."""
    found, start = [], 1
    for first, end in needed:
        found.append((start, first - 1))
        start = max(start, end + 1)
    return [(first, end) for first, end in [*found, (start, last)] if first <= end]
