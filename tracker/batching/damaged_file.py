"""A spool file that was put aside as damaged: what can still be read of it. The file stays as it is.

Chunks are looked up one by one, so that a broken page costs the rows on it and no others. Whether such a file
can be used as a spool again is nobody's business here; `damage` decides that at start.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from tracker.batching.export_lines import Export
from tracker.batching.spool_schema import checksum
from tracker.batching.totals import verify
from tracker.batching.waiting_rows import (
    Waits,
    lines_of_chunk,
    needed_rows,
    overlapping,
    read_replay,
    read_waits,
)
from tracker.errors import TrackerError

T = TypeVar("T")

_MOST_IN_A_ROW = 20_000
"""Chunks that cannot even be looked up, one after the other, before the file is given up."""
_NOTHING_KNOWN = Waits(None, (), 0)


class DamagedFile:
    """A context manager with the looking part of the spool's tools. Entering raises TrackerError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[str] = []

    def __enter__(self) -> Self:
        if not self._path.is_file():
            raise TrackerError(f"there is no spool file {self._path}")
        # Without a log beside it nothing else can be using the file, and nothing is made beside it.
        has_log = Path(f"{self._path}-wal").exists()
        how = "mode=ro" if has_log else "mode=ro&immutable=1"
        try:
            self._db = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?{how}", uri=True, isolation_level=None
            )
            self._db.execute(
                "PRAGMA writable_schema = ON"
            )  # else a file that lost its end is not read at all
        except sqlite3.Error as failure:
            raise TrackerError(f"{self._path} cannot be opened: {failure}") from failure
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    async def verify(self) -> dict[str, Any]:
        """`ok` and `problems`, as for a spool that is in use."""
        try:
            verdict = verify(self._db)
        except sqlite3.Error as failure:
            return {"ok": False, "problems": [f"file: {failure}"]}
        return {"ok": verdict.is_sound, "problems": list(verdict.problems)}

    async def export(self) -> Export:
        """Lines of JSON of every row that waited and can be read; the last item has the counts.

        Rows that share a chunk with damage come too, as far as they are JSON, marked `"suspect": true`.
        """
        waits = self._tried(lambda: read_waits(self._db), "what waited for whom") or _NOTHING_KNOWN
        rows = damaged = 0
        for chunk in self._chunks():
            lines, lost = _lines(chunk, waits)
            rows, damaged = rows + len(lines), damaged + lost
            yield b"".join(lines)
        if waits.needs is not None:  # chunks that cannot even be looked up count too
            damaged = needed_rows(waits) - rows
        for batch in waits.replays:
            lines = self._tried(lambda: read_replay(self._db, batch), f"batch {batch}") or []  # noqa: B023 (called at once)
            rows += len(lines)
            yield b"".join(lines)
        yield {"rows": rows, "damaged": damaged, "problems": self._problems}

    def _chunks(self) -> Iterator[tuple[str, int, int, int, bytes]]:
        """Table, first, last, checksum and data of every chunk that can be looked up."""
        number, unread = 0, 0
        while unread < _MOST_IN_A_ROW:
            try:
                found = self._db.execute(
                    "SELECT id, tbl, first, last, crc, data FROM chunks WHERE id > ? ORDER BY id LIMIT 1",
                    (number,),
                ).fetchone()
            except sqlite3.Error as failure:
                number, unread = number + 1, unread + 1
                self._note(f"chunks: {failure}")
                if getattr(failure, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
                    continue
                return
            if found is None:
                return
            number, unread = found[0], 0
            yield found[1:]

    def _tried(self, read: Callable[[], T], what: str) -> T | None:
        try:
            return read()
        except (sqlite3.Error, ValueError, TypeError) as failure:  # a damaged page may hold anything
            self._note(f"{what} cannot be read: {failure}")
            return None

    def _note(self, problem: str) -> None:
        if problem not in self._problems:
            self._problems.append(problem)


def _lines(chunk: tuple[str, int, int, int, bytes], waits: Waits) -> tuple[list[bytes], int]:
    """The lines of a chunk, and how many of its rows cannot be read."""
    table, first, last, crc, data = chunk
    needs = overlapping(waits, table, first, last)
    if needs == []:
        return [], 0
    rows = data.split(b"\n")[:-1]
    if checksum(table, first, last, data) == crc:
        return list(lines_of_chunk(table, first, rows, needs)), 0
    readable = list(lines_of_chunk(table, first, rows, needs, is_suspect=True))
    return readable, max(last - first + 1 - len(readable), 0)
