"""What a damaged spool still holds: chunks wherever in the file they lie, the small tables from either copy.

A chunk is taken when its checksum is right, so rows come back as they were stored or not at all. What of it
may still be delivered, and what is lost, is `salvage`'s business.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tracker.batching import spool_copies, spool_schema
from tracker.batching.backlogs import NO_ROWS, BacklogKey, Cursor, End, Gap
from tracker.batching.intake import Chunk
from tracker.batching.raw_log import Seen
from tracker.batching.raw_pages import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    TABLE_LEAF,
    RawFile,
    Unreadable,
    Value,
    cells,
    header,
    record,
    size_of,
    values,
)

Record = tuple[Value, ...]

_SHAPES: Mapping[str, str] = {
    "sequences": "tiii",
    "sinks": "ti",
    "cursors": "ttiii",
    "gaps": "ttiI",
    "counts": "ttti",
    "batches": "tiTttiiitrI",
    "chunks": "_tiiiiirb",
    "chunks_by_row": "tiiiiri",
    "dead": "_tttritib",
    "seen": "_rb",
    "rejections": "ttiii",
    "copies": "tttt",
    "schema": "tttiT",
}
"""Table or index to the types of its columns: text, integer, real, blob; capitals may be NULL."""


_TYPES: Mapping[str, type | tuple[type, ...]] = {"t": str, "i": int, "r": (int, float), "b": bytes}


@dataclass(frozen=True, slots=True)
class Book:
    """The small tables, as far as they can be read."""

    ends: Mapping[str, End]
    sinks: Mapping[str, bool]
    cursors: Mapping[BacklogKey, Cursor]
    gaps: Mapping[BacklogKey, tuple[Gap, ...]]
    counts: Mapping[tuple[str, str, str], int]
    batches: Sequence[Record]
    """The copied columns of each."""
    knows_cursors: bool
    """A cursor that is not here stands at the start."""


class Wreck:
    """A damaged file, read only. Close it. Nothing in it is believed; OSError is all that is raised."""

    def __init__(self, path: Path, acknowledged: Seen) -> None:
        self._raw = RawFile(path, acknowledged)
        self.ends: dict[str, End] = {}
        """The furthest that was seen of each table; complete when `chunks` has ended."""
        said, made = _roots(self._raw)
        self._roots = said or made
        copied, self._are_copies_whole = self._copies()
        self.version = next(iter(copied.get(spool_copies.VERSION_KIND, [])), None)
        self._copied = copied
        self._are_roots_known = bool(said) or self.version is not None

    @property
    def is_ours(self) -> bool:
        """It holds what this version of the spool wrote."""
        return self._are_roots_known and self.version in (None, (spool_schema.VERSION,))

    def close(self) -> None:
        """Let go of the file. Safe twice."""
        self._raw.close()

    def book(self) -> Book:
        """The small tables, each row from whichever copy is sound."""
        cursors, knows_cursors = self._rows("cursors")
        gaps: dict[BacklogKey, tuple[Gap, ...]] = {}
        for sink, table, first, last in sorted(self._rows("gaps")[0], key=lambda row: row[2]):
            gaps[sink, table] = (*gaps.get((sink, table), ()), Gap(first, last))
        unnamed = {row[0]: all(gap.last for gap in gaps.get((row[0], row[1]), ())) for row in cursors}
        return Book(
            {row[0]: End(row[1], row[2]) for row in self._rows("sequences")[0]},
            unnamed | {row[0]: bool(row[1]) for row in self._rows("sinks")[0]},
            {(row[0], row[1]): Cursor(*row[2:]) for row in cursors},
            gaps,
            {(row[0], row[1], row[2]): row[3] for row in self._rows("counts")[0]},
            self._rows("batches")[0],
            knows_cursors,
        )

    def chunks(self, is_needed: Callable[[str, int, int], bool]) -> Iterator[Chunk]:
        """Every whole chunk of needed rows, in no order; `is_needed` gets table, first and last."""
        for number, page in self._raw.every_page():
            kind = page[0] if page else 0
            if kind == TABLE_LEAF:
                for cell in cells(page, number):
                    chunk = self._chunk(page, cell, is_needed)
                    if chunk is not None:
                        yield chunk
            elif kind in (INDEX_INTERIOR, INDEX_LEAF):
                self._look_at_index(page, number, kind)

    def letters(self) -> Iterator[Record]:
        """Every dead letter whose line is as it was: the columns of `dead`."""
        for rowid, row in self._table("dead", set()):
            if zlib.crc32(row[8]) == row[7]:
                yield rowid, *row[1:]

    def ids(self) -> Iterator[Record]:
        """The remembered client ids: the columns of `seen`."""
        for rowid, row in self._table("seen", set()):
            if row[2] and len(row[2]) % 16 == 0:
                yield rowid, *row[1:]

    def rejections(self) -> Iterator[Record]:
        """The columns of `rejections`."""
        for _, row in self._table("rejections", set()):
            yield tuple(row)

    def replays(self) -> Iterator[tuple[str, bytes]]:
        """Id and lines of each batch that brings its lines along, where they are as they were."""
        trouble = set[int]()
        for number, row in self._raw.rows(self._roots["batches"], trouble):
            is_known = _is_shaped(_of_batch(number, row), "batches") and isinstance(row[-1], bytes)
            if is_known and zlib.crc32(row[-1]) == row[-2]:
                yield row[1], row[-1]

    def _chunk(self, page: bytes, cell: int, is_needed: Callable[[str, int, int], bool]) -> Chunk | None:
        try:
            payload = self._raw.payload(page, cell, TABLE_LEAF)
            types, at = header(payload.local)
            if len(types) != len(_SHAPES["chunks"]) or types[0] or types[-1] < 12:
                return None
            known = values(types[:-1], payload.local, at)
            if not _is_shaped([*known, b""], "chunks"):
                return None
            _, table, first, last, size, upto, crc, created = known
            if not 0 < first <= last < first + size or size != size_of(types[-1]):
                return None
            self._saw(table, last, upto)
            if not is_needed(table, first, last):
                return None
            data = self._raw.whole(payload)[-size:]
        except Unreadable:
            return None
        is_whole = spool_schema.checksum(table, first, last, data) == crc
        return Chunk(table, first, last, size, upto, crc, float(created), data) if is_whole else None

    def _look_at_index(self, page: bytes, number: int, kind: int) -> None:
        """Learn from the index how far the tables went, also when those chunks are gone."""
        places = cells(page, number)
        ends = [self._entry(page, at, kind) for at in (*places[:1], *places[-1:])]
        if ends[:1] != ends[-1:] and (not all(ends) or ends[0][0] != ends[1][0]):
            ends = [self._entry(page, at, kind) for at in places]
        for table, first, last, size, upto, *_ in filter(None, ends):
            if 0 < first <= last < first + size:
                self._saw(table, last, upto)

    def _entry(self, page: bytes, cell: int, kind: int) -> Record:
        """One entry of the index of chunks; empty when it is none."""
        try:
            row = record(self._raw.whole(self._raw.payload(page, cell, kind)))
        except Unreadable:
            return ()
        return tuple(row) if _is_shaped(row, "chunks_by_row") else ()

    def _saw(self, table: str, last: int, upto: int) -> None:
        if last > self.ends.get(table, NO_ROWS).last:
            self.ends[table] = End(last, upto)

    def _copies(self) -> tuple[dict[str, list[Record]], bool]:
        trouble = set[int]()
        rows = [tuple(row) for _, row in self._table("copies", trouble)]
        found = spool_copies.sound(rows)
        return found, not trouble and len(rows) == sum(map(len, found.values()))

    def _rows(self, table: str) -> tuple[list[Record], bool]:
        """A small table's rows, and whether they are all."""
        copied = [row for row in self._copied.get(table, []) if _is_shaped(row, table)]
        if self._are_copies_whole:
            return copied, True
        trouble = set[int]()
        found = self._raw.rows(self._roots[table], trouble)
        own = [_of_batch(number, row) if table == "batches" else tuple(row) for number, row in found]
        keys = spool_copies.COPIED[table][0]
        rows = {row[:keys]: row for row in own if _is_shaped(row, table)}
        rows |= {row[:keys]: row for row in copied}
        return list(rows.values()), not trouble

    def _table(self, name: str, trouble: set[int]) -> Iterator[tuple[int, list[Value]]]:
        for rowid, row in self._raw.rows(self._roots[name], trouble):
            if _is_shaped(row, name):
                yield rowid, row


def _is_shaped(row: Sequence[Value], name: str) -> bool:
    shape = _SHAPES[name]
    return len(row) == len(shape) and all(map(_fits, row, shape))


def _fits(value: Value, kind: str) -> bool:
    if value is None:
        return kind in "_TI"
    return isinstance(value, _TYPES.get(kind.lower(), ()))


def _of_batch(number: int, row: Sequence[Value]) -> Record:
    """The copied columns of a row of `batches`."""
    return (row[1], number, *row[2:-1]) if len(row) > 2 else ()


def _roots(raw: RawFile) -> tuple[dict[str, int], dict[str, int]]:
    """Table to its tree's first page: as the file says, if it still says it of all, and as they are made.

    A file that an earlier version made has its trees elsewhere.
    """
    said = {str(row[1]): row[3] for _, row in raw.rows(1, set()) if _is_shaped(row, "schema")}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        spool_schema.create(db)
        made = dict(db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0").fetchall())
    return said if made.keys() <= said.keys() else {}, made
