"""The records that tests/support/preload/disk.c writes, read back in the order in which things happened."""

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

_HEAD = struct.Struct("<qQqIIQ")


class Kind(IntEnum):
    """What happened; the numbers are those of disk.c."""

    PRESENT = 1
    CREATE = 2
    WRITE = 3
    TRUNCATE = 4
    EXTEND = 5
    ZERO = 6
    SYNC_BEGIN = 7
    SYNC_END = 8
    SYNC_FAILED = 9
    RENAME = 10
    UNLINK = 11


class Record(NamedTuple):
    """One thing that a process did to its files, or (PRESENT) found when it started."""

    ns: int
    """When it was done, on the monotonic clock."""
    inode: int
    offset: int
    """Bytes; of a sync its number, of TRUNCATE and EXTEND the size."""
    kind: Kind
    path: str
    data: bytes
    """Of ZERO how many bytes (64 bits), of RENAME the new path."""


class Start(NamedTuple):
    """A process begins, and finds these files."""

    ns: int
    files: dict[str, tuple[int, bytes]]
    """Path to inode and content."""


def read_recording(notes: Path) -> list[Record | Start]:
    """All processes' records in order, each process's behind its Start. No two may have run at once."""
    return [item for log in sorted(notes.glob("*.log")) for item in _process(log)]


def _process(log: Path) -> Iterator[Record | Start]:
    found: dict[str, tuple[int, bytes]] | None = {}
    for record in _records(log.read_bytes()):
        if found is not None and record.kind is not Kind.PRESENT:
            yield Start(record.ns, found)
            found = None
        if found is None:
            yield record
        else:
            found[record.path] = (record.inode, record.data)


def _records(log: bytes) -> Iterator[Record]:
    """A record that a killed process left half was not done as far as anyone knows."""
    at = 0
    while at + _HEAD.size <= len(log):
        ns, inode, offset, kind, path_bytes, data_bytes = _HEAD.unpack_from(log, at)
        path_at = at + _HEAD.size
        data_at = path_at + path_bytes
        at = data_at + data_bytes
        if at <= len(log):
            yield Record(ns, inode, offset, Kind(kind), log[path_at:data_at].decode(), log[data_at:at])
