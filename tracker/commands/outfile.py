"""A file that a command writes: complete or not there at all, readable by its owner only, never by accident
in the place of another one."""

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

from tracker.errors import TrackerError
from tracker.web.control_services import Export

STANDARD_OUTPUT = "-"


async def write_out(parts: Export, target: str, is_forced: bool) -> Mapping[str, Any]:
    """Write the pieces to the file, or to standard output; returns the last item, which is no piece.

    Raises TrackerError when the file cannot be written or is there and `is_forced` is not set, and whatever
    the pieces raise: then no file is left.
    """
    if target == STANDARD_OUTPUT:
        told = await _copy(parts, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return told
    path = Path(target)
    _refuse(path, is_forced)
    try:
        return await _write(parts, path, is_forced)
    except OSError as failure:
        raise TrackerError(f"cannot write {target}: {failure.strerror or failure}") from failure


def _refuse(path: Path, is_forced: bool) -> None:
    if path.exists() and not path.is_file():
        raise TrackerError(f"{path} is no regular file; - writes to standard output")
    if path.exists() and not is_forced:
        raise TrackerError(f"{path} is there already; --force replaces it")


async def _write(parts: Export, path: Path, is_forced: bool) -> Mapping[str, Any]:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            told = await _copy(parts, stream)
            stream.flush()
            os.fsync(stream.fileno())
        _take_place(Path(name), path, is_forced)
    finally:
        _discard(Path(name))
    return told


def _discard(new: Path) -> None:
    new.unlink(missing_ok=True)


def _take_place(new: Path, path: Path, is_forced: bool) -> None:
    """Rename; unless forced, never over a file that came meanwhile."""
    if is_forced:
        new.replace(path)
        return
    try:
        os.link(new, path)
    except FileExistsError:
        raise TrackerError(f"{path} is there already; --force replaces it") from None
    except OSError:  # a file system without hard links
        _refuse(path, is_forced=False)
        new.replace(path)


async def _copy(parts: Export, stream: BinaryIO) -> Mapping[str, Any]:
    told: Mapping[str, Any] = {}
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, bytes):
                stream.write(part)
            else:
                told = part
    return told
