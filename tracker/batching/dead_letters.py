"""Rows that a sink can never store: kept with the reason, found, replayed or dropped by a person.

Functions on one connection; transactions, counters in memory and the backlogs are the spool's. What a person
is shown of them is in `dead_tools`, how many may be kept in `dead_limits`.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from tracker.batching.contract import Sealed
from tracker.batching.spool_schema import count

REPLAY_ROWS = 1000
REPLAY_BYTES = 1024 * 1024
LAST_ID = 2**63 - 1
NOT_EDITED: Mapping[int, bytes] = MappingProxyType({})

EXPIRED = "expired"
NO_ROOM = "dead_letters_full"
BY_COMMAND = "by_command"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row that was put aside."""

    id: int
    """Rises with every row that is put aside, also the same one again."""
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
    after: int = 0
    """Only ids above this one, up to `upto`."""
    upto: int = LAST_ID


def put_aside(
    db: sqlite3.Connection, sealed: Sealed, lines: Sequence[bytes], reasons: Mapping[int, str], now: float
) -> int:
    """Store the lines at these positions of the batch; returns their bytes."""
    letters = [
        (sealed.sink, sealed.table, sealed.id, now, len(lines[at]), reason, zlib.crc32(lines[at]), lines[at])
        for at, reason in sorted(reasons.items())
    ]
    db.executemany(
        "INSERT INTO dead (sink, tbl, batch, at, bytes, reason, crc, line) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        letters,
    )
    return sum(letter[4] for letter in letters)


_MEANT = (
    "SELECT id, sink, tbl, batch, at, reason, bytes FROM dead WHERE id > :after AND id <= :upto"
    " AND (:sink IS NULL OR sink = :sink) AND (:table IS NULL OR tbl = :table)"
    " AND (:reason IS NULL OR instr(reason, :reason) > 0)"
)
_FIRST = " ORDER BY id LIMIT :limit"
_AMONG = " AND id IN (SELECT value FROM json_each(:ids)) ORDER BY id"


def find(db: sqlite3.Connection, which: DeadFilter, limit: int) -> list[DeadLetter]:
    """The oldest, in order, without their lines; a negative limit is none."""
    return _letters(db, _MEANT + _FIRST, which, limit=limit)


def find_these(db: sqlite3.Connection, ids: Iterable[int], which: DeadFilter) -> list[DeadLetter]:
    """Those of these ids that there are and that the filter lets through, in order, without their lines."""
    return _letters(db, _MEANT + _AMONG, which, ids=json.dumps(list(ids)))


def _letters(db: sqlite3.Connection, sql: str, which: DeadFilter, **values: int | str) -> list[DeadLetter]:
    meant = {name: getattr(which, name) for name in DeadFilter.__slots__}
    return [DeadLetter(*row) for row in db.execute(sql, {**meant, **values}).fetchall()]


def fitting(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """The first of these that are moved or read in one go: bounded in rows and bytes, at least one."""
    fit: list[DeadLetter] = []
    size = 0
    for letter in letters[:REPLAY_ROWS]:
        size += letter.size + 1
        if fit and size > REPLAY_BYTES:
            break
        fit.append(letter)
    return fit


def with_lines(db: sqlite3.Connection, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """The letters with their lines, but for those that are gone meanwhile."""
    found = (
        (letter, db.execute("SELECT line FROM dead WHERE id = ?", (letter.id,)).fetchone())
        for letter in letters
    )
    return [replace(letter, line=row[0]) for letter, row in found if row is not None]


def show(db: sqlite3.Connection, letter_id: int) -> DeadLetter | None:
    """One dead letter with its line, None when there is none of this id."""
    return next(iter(with_lines(db, find_these(db, [letter_id], DeadFilter()))), None)


def newest_id(db: sqlite3.Connection) -> int:
    """The highest id, 0 when there are no dead letters."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM dead").fetchone()[0])


def summarise(db: sqlite3.Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """Sink and table to the number of dead letters and their bytes."""
    found = db.execute("SELECT sink, tbl, count(*), sum(bytes) FROM dead GROUP BY sink, tbl")
    return {(sink, table): (rows, size) for sink, table, rows, size in found.fetchall()}


def choose(db: sqlite3.Connection, ids: Iterable[int] | None, which: DeadFilter) -> list[DeadLetter]:
    """The letters of these ids (None: all the filter lets through), without their lines, by table."""
    found = find(db, which, -1) if ids is None else find_these(db, ids, which)
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


def take_out(db: sqlite3.Connection, letters: Sequence[DeadLetter], edited: Mapping[int, bytes]) -> bytes:
    """Remove the letters and return their lines, each ended by a newline, in order of id.

    `edited` has the lines, by id, that replace what was put aside.
    """
    ids = [(letter.id,) for letter in letters]
    lines = [
        edited.get(one[0]) or db.execute("SELECT line FROM dead WHERE id = ?", one).fetchone()[0]
        for one in ids
    ]
    db.executemany("DELETE FROM dead WHERE id = ?", ids)
    return b"".join([line + b"\n" for line in lines])


def drop(db: sqlite3.Connection, letters: Sequence[DeadLetter], reason: str) -> int:
    """Remove the letters for good, counted as dropped for this reason; returns their bytes."""
    db.executemany("DELETE FROM dead WHERE id = ?", [(letter.id,) for letter in letters])
    for part in parcels(sorted(letters, key=lambda letter: (letter.sink, letter.table))):
        count(db, part[0].sink, part[0].table, f"dropped:{reason}", len(part))
    return sum(letter.size for letter in letters)
