"""Rows that a sink can never store: kept with the reason, listed, replayed or dropped by a person.

Functions on one connection; transactions, counters in memory and the backlogs are the spool's.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracker.batching.contract import Sealed
from tracker.batching.spool_schema import count

REPLAY_ROWS = 1000
REPLAY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row that was put aside."""

    id: int
    sink: str
    table: str
    batch: str
    """Id of the batch it was sent in."""
    at: float
    """Unix seconds at which it was put aside."""
    reason: str
    size: int
    """Bytes of the line."""
    line: bytes | None = None
    """The row as it was sent; None in lists."""


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which dead letters are meant; None lets everything through, `reason` is a part of the text."""

    sink: str | None = None
    table: str | None = None
    reason: str | None = None


def put_aside(
    db: sqlite3.Connection, sealed: Sealed, lines: Sequence[bytes], reasons: Mapping[int, str], now: float
) -> int:
    """Store the lines at these positions of the batch; returns their bytes."""
    letters = [
        (sealed.sink, sealed.table, sealed.id, now, len(lines[at]), reason, lines[at])
        for at, reason in sorted(reasons.items())
    ]
    db.executemany(
        "INSERT INTO dead (sink, tbl, batch, at, bytes, reason, line) VALUES (?, ?, ?, ?, ?, ?, ?)", letters
    )
    return sum(letter[4] for letter in letters)


def find(db: sqlite3.Connection, which: DeadFilter, limit: int) -> list[DeadLetter]:
    """Oldest first, without their lines."""
    found = db.execute(
        "SELECT id, sink, tbl, batch, at, reason, bytes FROM dead"
        " WHERE (:sink IS NULL OR sink = :sink) AND (:table IS NULL OR tbl = :table)"
        " AND (:reason IS NULL OR instr(reason, :reason) > 0) ORDER BY id LIMIT :limit",
        {"sink": which.sink, "table": which.table, "reason": which.reason, "limit": limit},
    )
    return [DeadLetter(*row) for row in found.fetchall()]


def show(db: sqlite3.Connection, letter_id: int) -> DeadLetter | None:
    """One dead letter with its line, None when there is none of this id."""
    row = db.execute(
        "SELECT id, sink, tbl, batch, at, reason, bytes, line FROM dead WHERE id = ?", (letter_id,)
    ).fetchone()
    return None if row is None else DeadLetter(*row)


def summarise(db: sqlite3.Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """Sink and table to the number of dead letters and their bytes."""
    found = db.execute("SELECT sink, tbl, count(*), sum(bytes) FROM dead GROUP BY sink, tbl")
    return {(sink, table): (rows, size) for sink, table, rows, size in found.fetchall()}


def choose(db: sqlite3.Connection, ids: Iterable[int] | None, which: DeadFilter) -> list[DeadLetter]:
    """The letters of these ids (None: all the filter lets through), without their lines, by table."""
    found = find(db, which, -1)
    if ids is not None:
        wanted = frozenset(ids)
        found = [letter for letter in found if letter.id in wanted]
    return sorted(found, key=lambda letter: (letter.sink, letter.table, letter.id))


def parcels(letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    """Letters in the order of `choose`, in parts of one sink and table each that fit into one batch."""
    made: list[list[DeadLetter]] = []
    size = 0
    for letter in letters:
        size += letter.size + 1
        is_same = made and (made[-1][0].sink, made[-1][0].table) == (letter.sink, letter.table)
        if not is_same or len(made[-1]) >= REPLAY_ROWS or size > REPLAY_BYTES:
            made.append([])
            size = letter.size + 1
        made[-1].append(letter)
    return made


def take_out(db: sqlite3.Connection, letters: Sequence[DeadLetter]) -> bytes:
    """Remove the letters and return their lines, each ended by a newline, in order of id."""
    ids = [(letter.id,) for letter in letters]
    lines = [db.execute("SELECT line FROM dead WHERE id = ?", one).fetchone()[0] for one in ids]
    db.executemany("DELETE FROM dead WHERE id = ?", ids)
    return b"".join([line + b"\n" for line in lines])


def drop(db: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
    """Remove the letters for good, counted as dropped by command."""
    db.executemany("DELETE FROM dead WHERE id = ?", [(letter.id,) for letter in letters])
    for part in parcels(letters):
        count(db, part[0].sink, part[0].table, "dropped:by_command", len(part))
