"""Carries what a damaged spool still holds into a new one, so that delivery goes on as if the lost rows had
never been.

Never doubled: rows are carried for a sink only where its cursor and its batches say that they are still owed.
Nothing readable is lost: a sealed batch keeps its id and goes on with the rows that are left. Had it been
written before the damage, the store knows it and takes nothing again; had it not, the rest is written now.
"""

import json
import os
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tracker.batching import spool_schema
from tracker.batching.backlogs import NO_ROWS, BacklogKey, Cursor, End, intervals
from tracker.batching.contract import Sealed
from tracker.batching.sealing import without, write_down
from tracker.batching.settling import Settled, Span, Stand, joined, minus, settled
from tracker.batching.wreck import Record, Wreck
from tracker.parts import is_for

_FOREVER = 2**62

# Rows are numbered once, so chunks never overlap; should two do, neither can be told to be right.
_DROP_OVERLAPPING = """
DELETE FROM chunks WHERE id IN (
    SELECT id FROM (
        SELECT id, first, last, lag(last, 1, 0) OVER w AS before, lead(first, 1, 1 << 62) OVER w AS after
        FROM chunks WINDOW w AS (PARTITION BY tbl ORDER BY first)
    ) WHERE first <= before OR last >= after
)
"""

_HOLES = """
SELECT before + 1, first - 1 FROM (
    SELECT first, lag(last, 1, 0) OVER (ORDER BY first) AS before FROM chunks WHERE tbl = ?
) WHERE first > before + 1 ORDER BY first
"""

_END_OF_CHUNK = "SELECT last FROM chunks WHERE tbl = ? AND first <= ? ORDER BY first DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of the rows of a damaged spool, counted once per sink."""

    kept_rows: int = 0
    """Rows that wait in the new one."""
    lost: Mapping[BacklogKey, int] | None = None
    """Rows that are lost; None when nothing is known of any sink."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch that was sealed and not finished."""

    number: int
    sealed: Sealed
    parent: str | None
    sealed_at: float


def salvage(wreck: Wreck, target: Path) -> Salvaged:
    """Make a new spool at `target` with all that can be used. Raises sqlite3.Error, OSError."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(target, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        spool_schema.create(db)
        db.execute("BEGIN")
        outcome = _Carrying(wreck, db).run() if wreck.is_ours else Salvaged()
        db.execute("COMMIT")
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return outcome


class _Carrying:
    """One salvage, within one transaction."""

    def __init__(self, wreck: Wreck, db: sqlite3.Connection) -> None:
        self._wreck = wreck
        self._db = db
        self._book = wreck.book()
        self._batches = list(_batches(self._book.batches))
        self._needs: dict[str, list[Span]] = {}

    def run(self) -> Salvaged:
        """Rows first: which there are says what of the rest can be kept."""
        wreck, book = self._wreck, self._book
        self._insert("chunks (tbl, first, last, bytes, upto, crc, created, data)", wreck.chunks(self._needed))
        self._db.execute(_DROP_OVERLAPPING)
        self._insert("dead (id, sink, tbl, batch, at, bytes, reason, crc, line)", wreck.letters())
        self._insert("seen (n, at, ids)", wreck.ids())
        self._insert("rejections (sink, tbl, delivered, rows, is_start)", wreck.rejections())
        self._insert("sinks (name, is_attached)", book.sinks.items())
        self._insert("counts (sink, tbl, name, value)", [(*key, rows) for key, rows in book.counts.items()])
        ends = self._ends()
        self._insert("sequences (tbl, last, upto, trimmed)", self._sequences(ends))
        return self._settle({table: (end.last, self._holes(table, end.last)) for table, end in ends.items()})

    def _insert(self, into: str, rows: Iterable[Record]) -> None:
        places = ", ".join("?" * (into.count(",") + 1))
        self._db.executemany(f"INSERT OR IGNORE INTO {into} VALUES ({places})", rows)  # noqa: S608 (ours)

    def _needed(self, table: str, first: int, last: int) -> bool:
        if not self._book.sinks:
            return True
        if table not in self._needs:
            self._needs[table] = joined(self._owed(table))
        owed = self._needs[table]
        at = bisect_right(owed, (last, _FOREVER)) - 1
        return at >= 0 and owed[at][1] >= first

    def _owed(self, table: str) -> Iterator[Span]:
        """Runs of the table's rows that a sink may still need."""
        for key in self._keys([table]):
            if key[1] == table:
                yield from intervals(
                    self._cursor(key, _FOREVER).sealed, _FOREVER, self._book.gaps.get(key, ())
                )
        for sealed in (batch.sealed for batch in self._batches):
            if sealed.table == table and not sealed.is_replay:
                yield sealed.first, sealed.last

    def _keys(self, tables: Iterable[str]) -> list[BacklogKey]:
        """Every backlog: of attached sinks for these tables, of all for what they have a cursor in."""
        attached = [sink for sink, is_attached in self._book.sinks.items() if is_attached]
        keys = [(sink, table) for table in tables for sink in attached]
        return [key for key in dict.fromkeys([*keys, *self._book.cursors]) if is_for(key[1], key[0])]

    def _cursor(self, key: BacklogKey, last: int) -> Cursor:
        """Where the sink stands; at the end when that cannot be known, so that it gets nothing twice."""
        known = self._book.cursors.get(key)
        if known is not None:
            return known
        return Cursor() if self._book.knows_cursors else Cursor(0, last, 0)

    def _ends(self) -> dict[str, End]:
        """Where each table ends, by all that tells of it."""
        told = [*self._wreck.ends.items(), *self._book.ends.items()]
        told += [(key[1], End(cursor.sealed, 0)) for key, cursor in self._book.cursors.items()]
        told += [
            (one.sealed.table, End(one.sealed.last, 0)) for one in self._batches if not one.sealed.is_replay
        ]
        ends: dict[str, End] = {}
        for table, end in told:
            before = ends.get(table, NO_ROWS)
            ends[table] = End(max(end.last, before.last), max(end.upto, before.upto))
        return ends

    def _sequences(self, ends: Mapping[str, End]) -> Iterator[Record]:
        kept = dict(self._db.execute("SELECT tbl, sum(bytes) FROM chunks GROUP BY tbl").fetchall())
        for table, end in ends.items():
            yield table, end.last, end.upto, end.upto - kept.get(table, 0)

    def _holes(self, table: str, last: int) -> list[Span]:
        """Rows that no chunk holds."""
        found: list[Span] = self._db.execute(_HOLES, (table,)).fetchall()
        stored = self._db.execute(_END_OF_CHUNK, (table, last)).fetchone()
        end = stored[0] if stored else 0
        return [*found, (end + 1, last)] if end < last else found

    def _settle(self, tables: Mapping[str, tuple[int, list[Span]]]) -> Salvaged:
        sealed = self._write_batches({table: holes for table, (_, holes) in tables.items()})
        dead = {
            row[:2]: row[2] for row in self._db.execute("SELECT sink, tbl, count(*) FROM dead GROUP BY 1, 2")
        }
        kept, lost = 0, dict[BacklogKey, int]()
        for key in self._keys(tables):
            last, holes = tables.get(key[1], (0, []))
            after = settled(self._stand(key, last, sealed.get(key, 0), dead.get(key, 0)), holes)
            self._write(key, after)
            kept += after.waiting
            if after.lost:
                lost[key] = after.lost
        return Salvaged(kept, lost if self._book.sinks else None)

    def _stand(self, key: BacklogKey, last: int, sealed: int, dead: int) -> Stand:
        done = sum(rows for (sink, table, _), rows in self._book.counts.items() if (sink, table) == key)
        batches = [one.sealed for one in self._batches if (one.sealed.sink, one.sealed.table) == key]
        cursor = self._cursor(key, last)
        past = cursor.start + done + dead + sum(batch.rows for batch in batches)
        if past > cursor.sealed:  # its own number is wrong, or the counters: rather lost than doubled
            cursor = Cursor(cursor.start, self._end_of_chunk(key[1], min(past, last)), 0)
        return Stand(cursor, self._book.gaps.get(key, ()), last, done, dead, sealed)

    def _end_of_chunk(self, table: str, row: int) -> int:
        found = self._db.execute(_END_OF_CHUNK, (table, row)).fetchone()
        return max(row, found[0]) if found else row

    def _write_batches(self, holes: Mapping[str, Sequence[Span]]) -> dict[BacklogKey, int]:
        """Batches with the rows that are left; how many by sink and table."""
        rows: dict[BacklogKey, int] = {}
        for batch, data in self._with_data():
            left = batch.sealed if data else _left(batch.sealed, holes.get(batch.sealed.table, []))
            if left is not None:
                write_down(self._db, left, batch.sealed_at, batch.parent, data)
                key = (left.sink, left.table)
                rows[key] = rows.get(key, 0) + left.rows
        return rows

    def _with_data(self) -> Iterator[tuple[_Batch, bytes | None]]:
        """Batches in the order they were sealed; those that bring their lines along come last, with them."""
        yield from ((batch, None) for batch in self._batches if not batch.sealed.is_replay)
        replays = {batch.sealed.id: batch for batch in self._batches if batch.sealed.is_replay}
        for batch_id, data in self._wreck.replays():
            if batch_id in replays:
                yield replays[batch_id], data

    def _write(self, key: BacklogKey, after: Settled) -> None:
        cursor = after.cursor
        self._insert(
            "cursors (sink, tbl, start, sealed, offset)", [(*key, cursor.start, cursor.sealed, cursor.offset)]
        )
        self._insert("gaps (sink, tbl, first, last)", [(*key, *gap) for gap in after.gaps])
        if after.lost:
            spool_schema.count(self._db, *key, spool_schema.LOST, after.lost)


def _batches(rows: Iterable[Record]) -> Iterator[_Batch]:
    """Those of the copied rows of `batches` that make sense, in the order they were sealed."""
    for batch_id, number, parent, sink, table, first, last, count, skipped, at, crc in sorted(
        rows, key=lambda row: row[1]
    ):
        try:
            skips = frozenset(map(int, json.loads(skipped)))
        except (ValueError, TypeError):
            continue
        if 0 < first <= last and count == last - first + 1 - len(skips):
            sealed = Sealed(batch_id, sink, table, first, last, count, skips, is_replay=crc is not None)
            yield _Batch(number, sealed, parent, at)


def _left(sealed: Sealed, holes: Sequence[Span]) -> Sealed | None:
    """The batch without the rows in these holes, None when that leaves none."""
    whole = [(sealed.first, sealed.last)]
    missing = minus(whole, minus(whole, holes))
    return without(sealed, {row for first, last in missing for row in range(first, last + 1)})
