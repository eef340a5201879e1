"""Every row that waits, chunk by chunk, for whoever wants to see or save them. It changes nothing.

What waits is decided once, at the start; the rows are then read in short steps, oldest commit first. A row
that was delivered to everybody meanwhile may be missing, one that came later is not looked at.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tracker.batching.backlogs import read_backlogs, read_lasts, read_sinks
from tracker.batching.export_lines import is_object, line_of
from tracker.batching.sealing import read_batches
from tracker.batching.spool_schema import checksum

STEP_BYTES = 1024 * 1024
_STEP_CHUNKS = 256


class Need(NamedTuple):
    """Rows first..last of a table, less `skipped`, that wait for a sink."""

    sink: str
    first: int
    last: int
    skipped: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Waits:
    """What waited at one moment."""

    needs: Mapping[str, Sequence[Need]] | None
    """By table; None when every row is kept for a sink that is not known."""
    replays: Sequence[str]
    """Ids of batches that bring their rows along, oldest first."""
    last_chunk: int


class Piece(NamedTuple):
    """Some lines of JSON, and how many rows could not be read."""

    lines: Sequence[bytes]
    damaged: int
    last_chunk: int
    """The chunk to go on after."""


def read_waits(db: sqlite3.Connection) -> Waits:
    """What waits now, in one consistent view."""
    db.execute("BEGIN")
    try:
        (last_chunk,) = db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
        if not read_sinks(db):
            return Waits(None, (), last_chunk)
        held = list(read_batches(db).values())
        needs: dict[str, list[Need]] = {}
        lasts = read_lasts(db)
        for (sink, table), backlog in read_backlogs(db, lasts).items():
            spans = backlog.intervals(lasts.get(table, 0)) if backlog.rows else []
            needs.setdefault(table, []).extend(Need(sink, *span) for span in spans)
        for sealed in (one.sealed for one in held if not one.inline_bytes):
            need = Need(sealed.sink, sealed.first, sealed.last, sealed.skipped)
            needs.setdefault(sealed.table, []).append(need)
        return Waits(needs, [one.sealed.id for one in held if one.inline_bytes], last_chunk)
    finally:
        db.execute("COMMIT")


_CHUNKS = "SELECT id, tbl, first, last, crc, data FROM chunks WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"


def read_piece(db: sqlite3.Connection, waits: Waits, after: int) -> Piece | None:
    """The rows that wait of the next few chunks after this one; None when there are no more."""
    lines: list[bytes] = []
    damaged, size, last_chunk = 0, 0, None
    for chunk in db.execute(_CHUNKS, (after, waits.last_chunk, _STEP_CHUNKS)):
        last_chunk, table, first, last, crc, data = chunk
        needs = overlapping(waits, table, first, last)
        rows = data.split(b"\n")[:-1]
        if needs != []:
            if checksum(table, first, last, data) == crc:
                lines += lines_of_chunk(table, first, rows, needs)
            else:
                damaged += last - first + 1
        size += len(data)
        if size >= STEP_BYTES:
            break
    return None if last_chunk is None else Piece(lines, damaged, last_chunk)


def overlapping(waits: Waits, table: str, first: int, last: int) -> list[Need] | None:
    """The needs that these rows may serve; None when they are kept whoever needs them."""
    if waits.needs is None:
        return None
    return [need for need in waits.needs.get(table, ()) if need.first <= last and need.last >= first]


def lines_of_chunk(
    table: str, first: int, rows: Sequence[bytes], needs: list[Need] | None, *, is_suspect: bool = False
) -> Iterator[bytes]:
    """The lines of the rows that are needed; of suspect ones those that are JSON objects, marked."""
    for number, row in enumerate(rows, first):
        sinks = [
            need.sink
            for need in needs or ()
            if need.first <= number <= need.last and number not in need.skipped
        ]
        if not sinks and needs is not None:
            continue
        about: dict[str, object] = {"sinks": sorted(sinks), "table": table, "n": number}
        if not is_suspect:
            yield line_of(about, row)
        elif is_object(row):
            yield line_of({**about, "suspect": True}, row)


def needed_rows(waits: Waits) -> int:
    """How many rows of chunks wait, each counted once however many sinks it waits for."""
    return sum(_counted_once(needs) for needs in (waits.needs or {}).values())


def _counted_once(needs: Iterable[Need]) -> int:
    rows, end = 0, 0
    for first, last in sorted(span for need in needs for span in _spans(need)):
        rows += max(0, last - max(first, end + 1) + 1)
        end = max(end, last)
    return rows


def _spans(need: Need) -> Iterator[tuple[int, int]]:
    """First and last of each run of rows between the skipped ones."""
    first = need.first
    for row in sorted(need.skipped):
        yield first, row - 1
        first = row + 1
    yield first, need.last


def read_replay(db: sqlite3.Connection, batch: str) -> list[bytes]:
    """The lines of a batch of dead letters that was sent again, empty when it is done meanwhile."""
    found = db.execute("SELECT sink, tbl, data FROM batches WHERE id = ?", (batch,)).fetchone()
    if found is None or found[2] is None:
        return []
    sink, table, data = found
    about = {"sinks": [sink], "table": table, "batch": batch}
    return [line_of({**about, "n": n}, row) for n, row in enumerate(data.split(b"\n")[:-1], 1)]
