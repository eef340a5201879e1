"""Where a batch ends and which bytes it has: the reading side of the chunks.

Rows are found by the index; a chunk's data is read only where a batch begins or ends in its middle, and
when a batch is loaded. Every question is one row of answer: each step of a cursor is a wait for the
interpreter's lock.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tracker.batching.backlogs import Backlog
from tracker.batching.contract import Sealed
from tracker.batching.spool_schema import checksum
from tracker.errors import TrackerError


class SpoolDamaged(TrackerError):
    """Stored bytes are not what was stored; the message names table and rows, never their content."""


class _Span(NamedTuple):
    """Rows first..last of a chunk, their bytes and their checksum."""

    first: int
    last: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The next batch of a backlog: its rows, and the backlog without them."""

    first: int
    last: int
    bytes: int
    rest: Backlog


_WHOLE_CHUNKS = """
WITH span AS (
    SELECT last, sum(bytes) OVER (ORDER BY first) AS total FROM chunks
    WHERE tbl = :table AND first <= :limit AND first >= coalesce(
        (SELECT max(first) FROM chunks WHERE tbl = :table AND first <= :sealed + 1), 0)
)
SELECT max(last), max(total) FROM span
WHERE last > :sealed AND last <= :limit AND total - :offset <= :max_bytes
"""

_CHUNK_OF_ROW = """
SELECT first, last, crc, data FROM chunks
WHERE tbl = ? AND first = (SELECT max(first) FROM chunks WHERE tbl = ? AND first <= ?)
"""

_TIME_OF_ROW = """
SELECT created FROM chunks
WHERE tbl = ? AND first = (SELECT max(first) FROM chunks WHERE tbl = ? AND first <= ?)
"""

_CHUNKS = """
SELECT first, last, crc, data FROM chunks
WHERE tbl = :table AND first <= :last AND last >= :first AND first >= coalesce(
    (SELECT max(first) FROM chunks WHERE tbl = :table AND first <= :first), 0)
ORDER BY first
"""

_ROWS = """
SELECT json_group_array(json_array(first, last, size, crc)), CAST(group_concat(data, '') AS BLOB) FROM (
    SELECT first, last, length(data) AS size, crc, data FROM chunks
    WHERE tbl = :table AND first <= :last AND last >= :first AND first >= coalesce(
        (SELECT max(first) FROM chunks WHERE tbl = :table AND first <= :first), 0)
    ORDER BY first
)
"""


def cut(
    db: sqlite3.Connection, table: str, last: int, backlog: Backlog, max_rows: int, max_bytes: int
) -> Cut:
    """The oldest rows of a backlog with some, up to the limits, at least one; `last` is the table's last."""
    end = backlog.gaps[0].first - 1 if backlog.gaps else last
    limit = min(end, backlog.sealed + max_rows)
    cut_last, size = db.execute(
        _WHOLE_CHUNKS,
        {
            "table": table,
            "sealed": backlog.sealed,
            "limit": limit,
            "offset": backlog.offset,
            "max_bytes": max_bytes,
        },
    ).fetchone()
    whole_last, size, offset = (
        (backlog.sealed, 0, backlog.offset) if cut_last is None else (cut_last, size - backlog.offset, 0)
    )
    cut_last = whole_last
    if whole_last < limit:
        lines, part, offset = _part(
            db, table, whole_last + 1, offset, limit - whole_last, max_bytes - size, size > 0
        )
        cut_last, size = whole_last + lines, size + part
    return Cut(backlog.sealed + 1, cut_last, size, _rest(db, table, backlog, cut_last, size, offset))


def _part(
    db: sqlite3.Connection,
    table: str,
    row: int,
    offset: int,
    max_rows: int,
    max_bytes: int,
    may_be_none: bool,
) -> tuple[int, int, int]:
    """How many lines from `offset` of the chunk holding `row` fit, their bytes, and the offset after them."""
    first, last, crc, data = db.execute(_CHUNK_OF_ROW, (table, table, row)).fetchone()
    if checksum(table, first, last, data) != crc:  # found again and dealt with when the batch is loaded
        return min(last - row + 1, max_rows), 0, 0
    lines, position = 0, offset
    while lines < max_rows and (end := data.find(b"\n", position) + 1):
        if end - offset > max_bytes and (lines or may_be_none):
            break
        lines, position = lines + 1, end
    return lines, position - offset, position % len(data)


def _rest(
    db: sqlite3.Connection, table: str, backlog: Backlog, cut_last: int, size: int, offset: int
) -> Backlog:
    rows = backlog.rows - (cut_last - backlog.sealed)
    gaps = backlog.gaps
    sealed = cut_last
    while gaps and gaps[0].first == sealed + 1 and gaps[0].last is not None:
        sealed, offset, gaps = gaps[0].last, 0, gaps[1:]
    if not rows:
        return Backlog(sealed, 0, 0, 0, 0.0, gaps)
    (oldest_at,) = db.execute(_TIME_OF_ROW, (table, table, sealed + 1)).fetchone()
    return Backlog(sealed, offset, rows, max(backlog.bytes - size, 0), oldest_at, gaps)


def read_rows(db: sqlite3.Connection, sealed: Sealed) -> bytes:
    """The lines of a sealed batch that chunks hold, checked against what was stored. Raises SpoolDamaged."""
    spans, data = db.execute(
        _ROWS, {"table": sealed.table, "first": sealed.first, "last": sealed.last}
    ).fetchone()
    chunks = [_Span(*span) for span in json.loads(spans)]
    return (_chosen if sealed.skipped else _stretch)(sealed, chunks, data or b"")


def _stretch(sealed: Sealed, chunks: list[_Span], data: bytes) -> bytes:
    """The lines of a batch that skips none: its chunks follow each other, and all must be sound."""
    follows = all(after.first == before.last + 1 for before, after in pairwise(chunks))
    is_whole = chunks and chunks[0].first <= sealed.first and chunks[-1].last >= sealed.last
    if (
        not follows
        or not is_whole
        or not all(_is_sound(sealed.table, *pair) for pair in _pieces(chunks, data))
    ):
        raise damaged(sealed)
    if chunks[0].first < sealed.first:
        data = data[_end_of_line(data, sealed.first - chunks[0].first) :]
    if chunks[-1].last > sealed.last:
        data = data[: _end_of_line(data, sealed.rows)]
    return bytes(data)


def _chosen(sealed: Sealed, chunks: list[_Span], data: bytes) -> bytes:
    """The lines of a batch that skips some; chunks with none but skipped rows may be damaged or missing."""
    kept: list[bytes] = []
    for chunk, piece in _pieces(chunks, data):
        rows = range(max(chunk.first, sealed.first), min(chunk.last, sealed.last) + 1)
        members = [row for row in rows if row not in sealed.skipped]
        if members and not _is_sound(sealed.table, chunk, piece):
            raise damaged(sealed)
        lines = bytes(piece).split(b"\n") if members else []
        kept += [lines[row - chunk.first] for row in members]
    if len(kept) != sealed.rows:
        raise damaged(sealed)
    return b"\n".join([*kept, b""])


def _pieces(chunks: list[_Span], data: bytes) -> Iterator[tuple[_Span, memoryview]]:
    start, view = 0, memoryview(data)
    for chunk in chunks:
        yield chunk, view[start : start + chunk.size]
        start += chunk.size


def _is_sound(table: str, chunk: _Span, data: memoryview) -> bool:
    return checksum(table, chunk.first, chunk.last, data) == chunk.crc


def changed_rows(db: sqlite3.Connection, sealed: Sealed) -> frozenset[int]:
    """The batch's rows whose bytes are not what was stored. Raises SpoolDamaged when chunks are missing."""
    changed, found = set[int](), 0
    span = {"table": sealed.table, "first": sealed.first, "last": sealed.last}
    for first, last, crc, data in db.execute(_CHUNKS, span):
        rows = range(max(first, sealed.first), min(last, sealed.last) + 1)
        members = [row for row in rows if row not in sealed.skipped]
        found += len(members)
        if checksum(sealed.table, first, last, data) != crc:
            changed.update(members)
    if found != sealed.rows:
        raise damaged(sealed)
    return frozenset(changed)


def damaged(sealed: Sealed) -> SpoolDamaged:
    """The exception for a batch that cannot be read as it was stored."""
    return SpoolDamaged(
        f"the spool's rows {sealed.first} to {sealed.last} of {sealed.table} are damaged:"
        " run `python -m tracker spool verify`; a restart goes on with what can be read"
    )


def _end_of_line(data: bytes, lines: int) -> int:
    position = 0
    for _ in range(lines):
        position = data.index(b"\n", position) + 1
    return position
