"""Opening a database: told apart by its content, read from a private copy.

The copy is why a file may be replaced, overwritten or cut short at any time: nothing is read from it again.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from tracker.errors import TrackerError
from tracker.events import Place
from tracker.geo import ip2location, mmdb

READ_ERRORS = (*mmdb.ERRORS, *ip2location.ERRORS)
"""What `find` may raise when the file is damaged."""
_ARCHIVES = ((b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "compressed by gzip"))
_PROBE = "1.1.1.1"
_PIECE = 1024 * 1024


class Unusable(TrackerError):
    """The file is not there or no database that can be read; the message says which, and names the file."""


class Database(Protocol):
    """An open database."""

    kind: str
    """Its form, in a few words."""

    def find(self, address: str) -> Place | None:
        """The place of a canonical address, None when it has none. Raises one of READ_ERRORS."""

    def close(self) -> None:
        """Let go of it."""


def open_database(path: Path) -> Database:
    """Recognise, copy, open and try a database. Raises Unusable."""
    try:
        if path.exists() and not path.is_file():
            raise Unusable(f"{path}: is no file")
        with path.open("rb") as file:
            form = _form_of(file, path)
            with _private_copy(file) as copy:
                return _tried(form(f"/dev/fd/{copy.fileno()}"))
    except READ_ERRORS as problem:
        reason = problem.strerror if isinstance(problem, OSError) else ""
        raise Unusable(f"{path}: {reason or f'damaged ({type(problem).__name__})'}") from problem


def _form_of(file: BinaryIO, path: Path) -> Callable[[str], Database]:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - mmdb.MARK_WITHIN))
    is_mmdb = mmdb.MARK in file.read()
    file.seek(0)
    head = file.read(ip2location.HEADER.size)
    if is_mmdb:
        return mmdb.Mmdb
    for mark, words in _ARCHIVES:
        if head.startswith(mark):
            raise Unusable(f"{path}: is {words}; unpack it and name the file inside")
    if ip2location.is_bin(head, size):
        return ip2location.Bin
    raise Unusable(f"{path}: neither an IP2Location BIN nor an mmdb file, or cut short")


def _tried(database: Database) -> Database:
    try:
        database.find(_PROBE)
    except BaseException:
        database.close()
        raise
    return database


def _private_copy(file: BinaryIO) -> BinaryIO:
    """A file without a name that holds the same: in memory where the system can, else on disk."""
    copy: BinaryIO
    if hasattr(os, "memfd_create"):
        copy = os.fdopen(os.memfd_create("places"), "w+b")
    else:
        copy = tempfile.TemporaryFile()  # type: ignore[assignment,unused-ignore]  # noqa: SIM115 (given away)
    try:
        file.seek(0)
        shutil.copyfileobj(file, copy, _PIECE)
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy
