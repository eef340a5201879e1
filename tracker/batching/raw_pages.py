"""Reads a SQLite file page by page, without SQLite and without trusting what it says: trees and records.

What cannot be read is left out and said. What the tables mean is `wreck`'s business. The format is at
https://www.sqlite.org/fileformat2.html; text is UTF-8, pages have no reserved bytes, as in every spool.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tracker.batching.raw_log import Seen, read_log

Value = Any
"""int, float, bytes, str or None; who reads it looks what it is."""

INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
_TREE_PAGES = {bytes([kind]) for kind in (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF)}
_USUAL_PAGE_BYTES = 4096
_FIRST_PAGE_HEADER = 100
_AT_ONCE = 256
_INT_BYTES = (0, 1, 2, 3, 4, 6, 8)


class Unreadable(Exception):
    """What should be here is not."""


class Payload(NamedTuple):
    """A cell's content before its overflow pages are read."""

    size: int
    local: bytes
    overflow: int
    """First overflow page, 0 when all is local."""
    rowid: int


class RawFile:
    """A database file and its log, opened for reading only; `acknowledged` is what is known of the log. Close
    it. Raises OSError."""

    def __init__(self, path: Path, acknowledged: Seen) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._wal = -1
        try:
            self.page_bytes = _page_bytes(self._file)
            wal = Path(f"{path}-wal")
            self._log = read_log(wal, self.page_bytes, acknowledged)
            self._wal = os.open(wal, os.O_RDONLY | os.O_CLOEXEC) if wal.exists() else -1
        except BaseException:
            self.close()
            raise
        self.pages = max([-(-os.fstat(self._file).st_size // self.page_bytes), *self._log.places])

    def close(self) -> None:
        """Let go of the files. Safe twice."""
        for descriptor in (self._file, self._wal):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._wal = -1

    def page(self, number: int) -> bytes:
        """One page, 1 is the first, as far as is known what it should be. Raises Unreadable."""
        place = self._log.places.get(number)
        if place is not None:
            data = os.pread(self._wal, self.page_bytes, place)
        else:
            data = (
                os.pread(self._file, self.page_bytes, (number - 1) * self.page_bytes) if number > 0 else b""
            )
        if len(data) < self.page_bytes:
            raise Unreadable
        return data

    def every_page(self) -> Iterator[tuple[int, bytes]]:
        """All pages that there are, in order; the last may be short."""
        places = self._log.places
        for start in range(0, self.pages, _AT_ONCE):
            block = os.pread(self._file, _AT_ONCE * self.page_bytes, start * self.page_bytes)
            for at in range(min(_AT_ONCE, self.pages - start)):
                number = start + at + 1
                if number in places:
                    yield number, self.page(number)
                else:
                    yield number, block[at * self.page_bytes : (at + 1) * self.page_bytes]

    def rows(self, root: int, trouble: set[int]) -> Iterator[tuple[int, list[Value]]]:
        """Every row of a table's tree with its rowid (0 where there is none); by rowid when it has any.

        Pages that cannot be read, or of which only an older version can, are added to `trouble`: rows that
        were changed or are gone meanwhile do not come back.
        """
        waiting, done = [root], set[int]()
        while waiting:
            number = waiting.pop()
            if number in done:
                trouble.add(number)
                continue
            done.add(number)
            try:
                page = self.page(number)
                waiting += reversed(_children(page, _header_at(number)))
            except (Unreadable, struct.error, IndexError):
                trouble.add(number)
                continue
            kind = _kind(page, number)
            if number in self._log.lost:
                trouble.add(number)
            elif kind in (INDEX_INTERIOR, INDEX_LEAF, TABLE_LEAF):
                yield from self._records(number, page, kind, trouble)
            elif kind != TABLE_INTERIOR:
                trouble.add(number)

    def _records(
        self, number: int, page: bytes, kind: int, trouble: set[int]
    ) -> Iterator[tuple[int, list[Value]]]:
        for cell in cells(page, number):
            try:
                payload = self.payload(page, cell, kind)
                yield payload.rowid, record(self.whole(payload))
            except Unreadable:
                trouble.add(number)

    def payload(self, page: bytes, at: int, kind: int) -> Payload:
        """The local part of the cell at this place. Raises Unreadable."""
        try:
            at += 4 if kind == INDEX_INTERIOR else 0
            size, at = _varint(page, at)
            rowid, at = _varint(page, at) if kind == TABLE_LEAF else (0, at)
            kept = self._local_bytes(size, kind)
            if not 0 < size <= self.pages * self.page_bytes or at + kept > self.page_bytes:
                raise Unreadable
            overflow = 0 if kept == size else int.from_bytes(page[at + kept : at + kept + 4], "big")
        except IndexError as error:
            raise Unreadable from error
        return Payload(size, page[at : at + kept], overflow, rowid)

    def _local_bytes(self, size: int, kind: int) -> int:
        """How much of a payload lies in its tree's page, the rest in overflow pages."""
        usable = self.page_bytes
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        least = (usable - 12) * 32 // 255 - 23
        if size <= most:
            return size
        kept = least + (size - least) % (usable - 4)
        return kept if kept <= most else least

    def whole(self, payload: Payload) -> bytes:
        """A payload with what its overflow pages hold. Raises Unreadable."""
        parts, missing, number = [payload.local], payload.size - len(payload.local), payload.overflow
        while missing > 0:
            page = self.page(number)
            number = int.from_bytes(page[:4], "big")
            parts.append(page[4 : 4 + missing])
            missing -= self.page_bytes - 4
        return b"".join(parts)


def record(payload: bytes) -> list[Value]:
    """The values of a record. Raises Unreadable."""
    types, at = header(payload)
    return values(types, payload, at)


def values(types: Sequence[int], payload: bytes, at: int) -> list[Value]:
    """Values of these types that lie one after the other. Raises Unreadable."""
    found = []
    try:
        for kind in types:
            size = size_of(kind)
            found.append(_value(kind, payload[at : at + size], size))
            at += size
    except (ValueError, struct.error) as error:
        raise Unreadable from error
    return found


def header(payload: bytes) -> tuple[list[int], int]:
    """The types of a record's values, and where the first value is. Raises Unreadable."""
    types = []
    try:
        end, at = _varint(payload, 0)
        while at < end:
            kind, at = _varint(payload, at)
            types.append(kind)
    except IndexError as error:
        raise Unreadable from error
    return types, end


def size_of(kind: int) -> int:
    """Bytes of a value of this type."""
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _INT_BYTES[kind] if kind < 7 else 0


def _value(kind: int, data: bytes, size: int) -> Value:
    if len(data) != size or kind in (10, 11):
        raise ValueError
    if kind >= 12:
        return data.decode() if kind % 2 else data
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(data, "big", signed=True) if kind else None


def cells(page: bytes, number: int) -> list[int]:
    """Where the cells of a tree's page lie, as it says itself; places outside of it are left out."""
    start = _header_at(number)
    if len(page) < start + 12:
        return []
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + (12 if page[start] in (INDEX_INTERIOR, TABLE_INTERIOR) else 8)
    count = min(count, (len(page) - first) // 2)
    places = struct.unpack_from(f">{count}H", page, first)
    return [place for place in places if first <= place < len(page)]


def _children(page: bytes, start: int) -> list[int]:
    """Pages below a tree's page, in order. Raises IndexError, struct.error."""
    if page[start] not in (INDEX_INTERIOR, TABLE_INTERIOR):
        return []
    number = 1 if start else 0
    lefts = [int.from_bytes(page[cell : cell + 4], "big") for cell in cells(page, number)]
    return [*lefts, int.from_bytes(page[start + 8 : start + 12], "big")]


def _kind(page: bytes, number: int) -> int:
    return page[_header_at(number)]


def _header_at(number: int) -> int:
    return _FIRST_PAGE_HEADER if number == 1 else 0


def _page_bytes(file: int) -> int:
    """What the header says if trees begin on the pages behind the first, which in a spool they do."""
    size = int.from_bytes(os.pread(file, 2, 16), "big")
    roots = {os.pread(file, 1, page * size) for page in (1, 2)}
    is_right = size >= 512 and size & (size - 1) == 0 and roots <= _TREE_PAGES
    return size if is_right else _USUAL_PAGE_BYTES


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and the place after it. Raises IndexError."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for step in range(1, 9):
        byte = data[at + step]
        if step == 8:
            return (value << 8) | byte, at + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, at + step + 1
    raise IndexError
