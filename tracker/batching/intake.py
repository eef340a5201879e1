"""From a group of entries to what one commit stores: chunks per table, the ids to remember, the retries.

Pure but for `store`, which is the single statement that makes a commit.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from tracker.batching.backlogs import NO_ROWS, End
from tracker.batching.remembered import RememberedIds
from tracker.batching.spool_schema import checksum
from tracker.events import Entry


class Chunk(NamedTuple):
    """Rows first..last of a table's sequence, as the spool stores them."""

    table: str
    first: int
    last: int
    size: int
    """Bytes of `data`."""
    upto: int
    """Bytes of the table's chunks up to and with this one."""
    crc: int
    created: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Intake:
    """What one commit is made of."""

    chunks: tuple[Chunk, ...]
    client_ids: tuple[bytes, ...]
    retries: tuple[int, ...]
    """Positions of entries whose client id was seen before: nothing of them is stored."""
    bytes: int

    @property
    def rows(self) -> dict[str, int]:
        """Rows per table."""
        rows: dict[str, int] = {}
        for chunk in self.chunks:
            rows[chunk.table] = rows.get(chunk.table, 0) + chunk.last - chunk.first + 1
        return rows


def arrange(
    entries: Sequence[Entry],
    remembered: RememberedIds,
    ends: Mapping[str, End],
    now: float,
    chunk_bytes: int,
) -> Intake:
    """Decide what of a group is new and number its rows after each table's end; time is Unix seconds."""
    client_ids = [entry.client_id for entry in entries if entry.client_id is not None]
    known = remembered.known(client_ids) if client_ids else set()
    retries: tuple[int, ...] = ()
    if known or len(set(client_ids)) < len(client_ids):
        retries = _retries(entries, known)
        again = frozenset(retries)
        entries = [entry for position, entry in enumerate(entries) if position not in again]
        client_ids = [entry.client_id for entry in entries if entry.client_id is not None]
    chunks = [
        chunk
        for table, lines in _by_table(entries).items()
        for chunk in _chunks(table, lines, ends.get(table, NO_ROWS), now, chunk_bytes)
    ]
    return Intake(tuple(chunks), tuple(client_ids), retries, sum([chunk.size for chunk in chunks]))


def _retries(entries: Sequence[Entry], known: set[bytes]) -> tuple[int, ...]:
    """Positions of entries whose id is known, or came earlier in the same group."""
    before, found = set(known), []
    for position, entry in enumerate(entries):
        if entry.client_id is None:
            continue
        if entry.client_id in before:
            found.append(position)
        before.add(entry.client_id)
    return tuple(found)


def _by_table(entries: Sequence[Entry]) -> dict[str, list[bytes]]:
    lines: dict[str, list[bytes]] = defaultdict(list)
    for entry in entries:
        for table, line in entry.rows:
            lines[table].append(line)
    return lines


def _chunks(table: str, lines: list[bytes], end: End, now: float, chunk_bytes: int) -> Iterable[Chunk]:
    last, upto = end
    for part in _parts(lines, chunk_bytes):
        rows = len(part)
        if any(b"\n" in line for line in part):  # white space in JSON: the row stays the same
            part = [line.replace(b"\n", b" ") for line in part]
        part.append(b"")
        data = b"\n".join(part)
        upto += len(data)
        crc = checksum(table, last + 1, last + rows, data)
        yield Chunk(table, last + 1, last + rows, len(data), upto, crc, now, data)
        last += rows


def _parts(lines: list[bytes], chunk_bytes: int) -> list[list[bytes]]:
    if len(lines) == 1 or sum(map(len, lines)) <= chunk_bytes:
        return [lines]
    parts: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if size and size + len(line) > chunk_bytes:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line)
    return parts


@lru_cache(maxsize=64)
def _insert(chunks: int) -> str:
    places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * chunks)
    return f"INSERT INTO intake VALUES {places}"  # noqa: S608 - only places for values


def store(db: sqlite3.Connection, intake: Intake, first_id: int) -> None:
    """Commit it all in one statement of its own; `first_id` numbers the first client id."""
    ids = b"".join(intake.client_ids) or None
    values: list[object] = []
    for chunk in intake.chunks:
        values += (*chunk, first_id, ids)
        ids = None
    db.execute(_insert(len(intake.chunks)), values)
