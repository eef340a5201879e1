"""What a SQLite write-ahead log holds, read without SQLite: also behind a frame that was damaged.

SQLite takes the first frame that does not check as the log's end, as it must after a power cut. Here such a
frame costs its own page only. The format is at https://www.sqlite.org/fileformat2.html#walformat.
"""

import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_MAGIC = 0x377F0682
_INDEX_BYTES = 48
_MASK = 0xFFFFFFFF
_NATIVE = "<" if sys.byteorder == "little" else ">"


@dataclass(frozen=True, slots=True)
class Log:
    """The pages of a log's finished transactions."""

    places: Mapping[int, int] = field(default_factory=dict)
    """Page number to where in the file its last whole version lies."""
    lost: frozenset[int] = frozenset()
    """Pages whose last version cannot be read: what there is of them is older."""


class _Frame(NamedTuple):
    page: int
    commits: int
    """Pages of the database after this frame when it ends a transaction, else 0."""
    salt: bytes
    checksum: bytes
    place: int
    """Where the page's bytes lie."""


@dataclass(slots=True)
class _Transaction:
    places: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    end: int = 0
    """Frames up to and with its last."""


def read_log(path: Path, page_bytes: int, acknowledged: "Seen") -> Log:
    """Everything that can be read of a log, nothing of one that is missing; `acknowledged` was on disk for
    certain. Raises OSError."""
    if not path.exists():
        return Log()
    places: dict[int, int] = {}
    lost = set[int]()
    with path.open("rb") as file:
        certain = acknowledged.frames if acknowledged.salt == _salt(file, page_bytes) else 0
        for transaction in _ended(_transactions(file, page_bytes), certain):
            lost = (lost - transaction.places.keys()) | transaction.lost
            places |= transaction.places
    return Log(places, frozenset(lost))


@dataclass(frozen=True, slots=True)
class Seen:
    """How far SQLite takes a log for good, by the index that it keeps beside it."""

    salt: bytes = b""
    """Of the log that this is about; another one is written with another."""
    frames: int = 0


def read_index(path: Path) -> Seen:
    """The index as the last process left it; a power cut may leave it older than the log. Raises OSError."""
    if not path.exists():
        return Seen()
    with path.open("rb") as file:
        first, second = file.read(_INDEX_BYTES), file.read(_INDEX_BYTES)
    if len(first) < _INDEX_BYTES or first != second:
        return Seen()
    return Seen(first[32:40], int.from_bytes(first[16:20], sys.byteorder))


def trouble(path: Path, page_bytes: int, before: Seen, now: Seen) -> str:
    """What speaks against taking this log as SQLite does `now`, '' when nothing does. Raises OSError.

    `before` is the index as it was before SQLite opened the log: it knows what was acknowledged. One commit
    that is not seen may be one that a power cut tore; more were each acknowledged before the next.
    """
    if before.salt == now.salt and before.frames > now.frames:
        return f"the last {before.frames - now.frames} pages of its log are damaged or missing"
    unseen = _commits_after(path, page_bytes, now.frames)
    return f"its log is damaged before its last {unseen} commits" if unseen > 1 else ""


def _commits_after(path: Path, page_bytes: int, frames: int) -> int:
    """Transactions of this log after so many frames."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        salt = _salt(file, page_bytes)
        rest = islice(_frames(file, page_bytes), frames, None)
        return sum(1 for frame in rest if frame.salt == salt and frame.commits)


def _salt(file: BinaryIO, page_bytes: int) -> bytes:
    """What this log's frames are marked with."""
    file.seek(0)
    header = file.read(HEADER_BYTES)
    first = next(_frames(file, page_bytes), None)
    return header[16:24] if _is_header(header) or first is None else first.salt


def _is_header(header: bytes) -> bool:
    if len(header) < HEADER_BYTES or int.from_bytes(header[:4], "big") & ~1 != _MAGIC:
        return False
    return _checksum(bytes(8), header[:24], _order(header)) == header[24:32]


def _order(header: bytes) -> str:
    """Of the words that checksums sum up."""
    return ">" if header[:4] == (_MAGIC | 1).to_bytes(4, "big") else "<"


def _checksum(before: bytes, data: bytes, order: str) -> bytes:
    """The running checksum after this data."""
    first, second = struct.unpack(">II", before)
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return struct.pack(">II", first, second)


def _frames(file: BinaryIO, page_bytes: int) -> Iterator[_Frame]:
    place = HEADER_BYTES
    while True:
        file.seek(place)
        header = file.read(FRAME_HEADER_BYTES)
        if len(header) < FRAME_HEADER_BYTES:
            return
        page, commits, salt, checksum = struct.unpack(">II8s8s", header)
        yield _Frame(page, commits, salt, checksum, place + FRAME_HEADER_BYTES)
        place += FRAME_HEADER_BYTES + page_bytes


def _transactions(file: BinaryIO, page_bytes: int) -> Iterator[_Transaction]:
    """Every transaction that has an end. A frame is whole when it checks against the checksum before it."""
    file.seek(0)
    header = file.read(HEADER_BYTES)
    order, before = _order(header) if _is_header(header) else _NATIVE, header[24:32]
    salt = _salt(file, page_bytes)
    now, is_ours = _Transaction(), True
    for number, frame in enumerate(_frames(file, page_bytes), 1):
        is_whole = _is_whole(file, frame, page_bytes, before, order)
        is_ours = frame.salt == salt or (is_whole and is_ours)
        before = frame.checksum
        if not is_ours:
            continue
        if is_whole:
            now.places[frame.page] = frame.place
            now.lost.discard(frame.page)
        else:
            now.lost.add(frame.page)
        if frame.commits:
            now.end = number
            yield now
            now = _Transaction()


def _is_whole(file: BinaryIO, frame: _Frame, page_bytes: int, before: bytes, order: str) -> bool:
    file.seek(frame.place)
    data = file.read(page_bytes)
    if len(data) < page_bytes or len(before) < 8:
        return False
    summed = _checksum(before, struct.pack(">II", frame.page, frame.commits) + data, order)
    return summed == frame.checksum


def _ended(transactions: Iterator[_Transaction], certain: int) -> Iterator[_Transaction]:
    """All, but not a last one of which frames are missing unless it is among the certain frames: it may have
    been torn before it was acknowledged."""
    held: _Transaction | None = None
    for transaction in transactions:
        if held is not None:
            yield held
        held = transaction
    if held is not None and (not held.lost or held.end <= certain):
        yield held
