"""Which of the spool's rows a judgement of the caller's would change: read in short steps, nothing changed.

What is done about them is `removing`'s business.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from tracker.batching.spool_schema import checksum
from tracker.parts import table_of

STEP_BYTES = 1024 * 1024
_STEP_ROWS = 256
GONE = b""
"""What a row becomes that must go."""

Changes = Mapping[int, bytes]
"""Number of a row (or id of a dead letter, or position) -> its line from now on, `GONE` for none."""


class Judge(Protocol):
    """Says of rows what must become of them. Called on the spool's reading thread."""

    def may_concern(self, data: bytes) -> bool:
        """False when surely none of these lines would be changed; quick."""

    def line(self, table: str, line: bytes) -> bytes:
        """The line as it must be: the same, a changed one, or `GONE`."""


class Judged(NamedTuple):
    """What one step found."""

    rows: Mapping[str, Changes]
    """By table, of rows in chunks."""
    damaged: int
    """Rows that could not be read."""
    upto: int
    """The chunk, letter or batch to go on after."""


_CHUNKS = "SELECT id, tbl, first, last, crc, data FROM chunks WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
_LETTERS = "SELECT id, tbl, line FROM dead WHERE id > ? ORDER BY id LIMIT ?"
_REPLAYS = "SELECT n, id, tbl, data FROM batches WHERE data IS NOT NULL AND n > ? ORDER BY n LIMIT 1"


def newest_chunk(db: sqlite3.Connection) -> int:
    """Where a pass over the chunks ends: what changing them adds is not looked at again."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()[0])


def in_chunks(judge: Judge, after: int, newest: int, db: sqlite3.Connection) -> Judged | None:
    """The next few chunks after this one, up to the newest; None when there are no more."""
    rows: dict[str, dict[int, bytes]] = {}
    damaged, size, upto = 0, 0, None
    for chunk in db.execute(_CHUNKS, (after, newest, _STEP_ROWS)):
        upto, table, first, last, crc, data = chunk
        if checksum(table, first, last, data) != crc:
            damaged += last - first + 1
        elif judge.may_concern(data):
            found = changed(judge, table_of(table), data.split(b"\n")[:-1], first)
            if found:
                rows.setdefault(table, {}).update(found)
        size += len(data)
        if size >= STEP_BYTES:
            break
    return None if upto is None else Judged(rows, damaged, upto)


def changed(judge: Judge, table: str, lines: list[bytes], first: int) -> dict[int, bytes]:
    """Of these lines, numbered from `first`, those that must change."""
    return {
        number: new
        for number, line in enumerate(lines, first)
        if judge.may_concern(line) and (new := judge.line(table, line)) != line
    }


def in_letters(judge: Judge, after: int, db: sqlite3.Connection) -> tuple[Changes, int] | None:
    """Changes to the next dead letters after this one, by id, and the last of them; None for none."""
    found = db.execute(_LETTERS, (after, _STEP_ROWS)).fetchall()
    if not found:
        return None
    changes: dict[int, bytes] = {}
    for letter, table, line in found:
        if judge.may_concern(line) and (new := judge.line(table_of(table), line)) != line:
            changes[letter] = new
    return changes, found[-1][0]


def in_replay(judge: Judge, after: int, db: sqlite3.Connection) -> tuple[str, Changes, int] | None:
    """The next batch after this one that brings its rows along: its id, changes by position, its number."""
    found = db.execute(_REPLAYS, (after,)).fetchone()
    if found is None:
        return None
    number, batch_id, table, data = found
    return batch_id, changed(judge, table_of(table), data.split(b"\n")[:-1], 0), number


Lines = tuple[list[tuple[str, bytes]], int]
"""Tables and lines, and what to go on after."""


def lines_in_chunks(judge: Judge, after: int, newest: int, db: sqlite3.Connection) -> Lines | None:
    """The lines of the next few chunks that would be changed; None when there are no more chunks."""
    lines: list[tuple[str, bytes]] = []
    size, upto = 0, None
    for upto, table, _, _, _, data in db.execute(_CHUNKS, (after, newest, _STEP_ROWS)):  # noqa: B007
        lines += _concerned(judge, table, data.split(b"\n")[:-1]) if judge.may_concern(data) else []
        size += len(data)
        if size >= STEP_BYTES:
            break
    return None if upto is None else (lines, upto)


def lines_in_letters(judge: Judge, after: int, db: sqlite3.Connection) -> Lines | None:
    """The same of the next dead letters."""
    found = db.execute(_LETTERS, (after, _STEP_ROWS)).fetchall()
    lines = [one for _, table, line in found for one in _concerned(judge, table, [line])]
    return (lines, found[-1][0]) if found else None


def lines_in_replay(judge: Judge, after: int, db: sqlite3.Connection) -> Lines | None:
    """The same of the next batch that brings its rows along."""
    found = db.execute(_REPLAYS, (after,)).fetchone()
    return (_concerned(judge, found[2], found[3].split(b"\n")[:-1]), found[0]) if found else None


def _concerned(judge: Judge, name: str, lines: list[bytes]) -> list[tuple[str, bytes]]:
    table = table_of(name)
    return [(table, lines[at]) for at in changed(judge, table, lines, 0)]
