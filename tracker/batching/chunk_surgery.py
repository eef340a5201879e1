"""Rows taken out of chunks or changed in them: what is left keeps its numbers, so a chunk may become several.

Functions on one connection, within the caller's transaction. Row numbers that no chunk holds any more must be
gaps for every sink that would have got them; that is `removing`'s business.
"""

import sqlite3
from collections.abc import Collection, Iterator
from typing import NamedTuple

from tracker.batching.backlogs import End
from tracker.batching.judged_rows import GONE, Changes
from tracker.batching.spool_schema import checksum

_CHUNK = """
SELECT id, first, last, bytes, upto, crc, created, data FROM chunks
WHERE tbl = :table AND last >= :row
AND first = (SELECT max(first) FROM chunks WHERE tbl = :table AND first <= :row)
"""
_INSERT = (
    "INSERT INTO chunks (id, tbl, first, last, bytes, upto, crc, created, data)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class Piece(NamedTuple):
    """Consecutive rows that are left of a chunk."""

    first: int
    lines: list[bytes]
    ends_at: int
    """Where they ended in the chunk as it was, in bytes."""


def pieces(first: int, lines: list[bytes], changes: Changes, pinned: Collection[int]) -> list[Piece]:
    """What is left of a chunk's lines. A pinned row stays as it is; one that was to go is a piece alone, so
    that a sink can step over it."""
    made: list[Piece] = []
    at, is_new = 0, True
    for number, line in enumerate(lines, first):
        at += len(line) + 1
        new = changes.get(number, line)
        is_alone = new == GONE and number in pinned
        if number in pinned:
            new = line
        if new == GONE:
            is_new = True
            continue
        if is_new or is_alone:
            made.append(Piece(number, [new], at))
        else:
            made[-1].lines.append(new)
            made[-1] = made[-1]._replace(ends_at=at)
        is_new = is_alone
    return made


def rewrite(
    db: sqlite3.Connection, table: str, end: End, changes: Changes, pinned: Collection[int]
) -> tuple[int, int]:
    """Carry the changes out; how many bytes fewer there are, and in how many rows damage was in the way."""
    saved = damaged = 0
    for chunk in _chunks(db, table, changes):
        chunk_id, first, last, size, upto, crc, created, data = chunk
        if checksum(table, first, last, data) != crc:
            damaged += last - first + 1
            continue
        left = pieces(first, data.split(b"\n")[:-1], changes, pinned)
        db.execute("DELETE FROM chunks WHERE id = ?", (chunk_id,))
        place: int | None = chunk_id  # the first piece keeps the chunk's place in the order
        for piece in left:
            text = b"\n".join([*piece.lines, b""])
            its_last = piece.first + len(piece.lines) - 1
            told = (piece.first, its_last, len(text), upto - size + piece.ends_at)
            sum_of = checksum(table, piece.first, its_last, text)
            db.execute(_INSERT, (place, table, *told, sum_of, created, text))
            place = None
            saved -= len(text)
        saved += size
    db.execute(
        "INSERT INTO sequences VALUES (?, ?, ?, ?) ON CONFLICT (tbl) DO UPDATE"
        " SET last = excluded.last, upto = excluded.upto, trimmed = trimmed + excluded.trimmed",
        (table, *end, saved),
    )
    return saved, damaged


def _chunks(
    db: sqlite3.Connection, table: str, changes: Changes
) -> Iterator[tuple[int, int, int, int, int, int, float, bytes]]:
    """The chunks that hold changed rows, each once."""
    done = 0
    for row in sorted(changes):
        if row <= done:
            continue
        found = db.execute(_CHUNK, {"table": table, "row": row}).fetchone()
        if found is not None:
            done = found[2]
            yield found


def offset_of(db: sqlite3.Connection, table: str, row: int) -> int:
    """Bytes of the chunk that holds this row that lie before it; 0 when no chunk holds it."""
    found = db.execute(_CHUNK, {"table": table, "row": row}).fetchone()
    if found is None:
        return 0
    _, first, *_, data = found
    position = 0
    for _ in range(row - first):
        position = data.index(b"\n", position) + 1
    return position
