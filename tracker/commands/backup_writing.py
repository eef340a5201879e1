"""Writing a backup into its folder, see `backup_folder`: what a store streams, and the manifest last."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import zstandard

from tracker.commands.backup_folder import FORMAT, MANIFEST, File
from tracker.errors import TrackerError
from tracker.sinks.backup import Digest, Stream

LEVEL = 3
"""Of the compression."""


async def write(parts: Stream, folder: Path, about: Mapping[str, Any]) -> Mapping[str, File]:
    """Write all into a new or empty folder; `about` goes into the manifest. What was written, by table.

    Raises TrackerError, also for whatever ends the stream too early: then nothing is left.
    """
    try:
        is_new = _prepare(folder)
        try:
            return await _write(parts, folder, about)
        except BaseException:
            _remove(folder, is_new)
            raise
    except OSError as failure:
        raise TrackerError(f"cannot write {folder}: {failure.strerror or failure}") from failure


def _prepare(folder: Path) -> bool:
    """Make the folder; whether it was not there. Raises TrackerError when something is in it."""
    is_new = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = sorted(path.name for path in folder.iterdir())
    if MANIFEST in names:
        raise TrackerError(f"{folder} holds a backup already; give another folder")
    if names:
        raise TrackerError(f"{folder} is not empty ({names[0]}); give a new folder, or remove what is there")
    folder.chmod(0o700)
    return is_new


def _remove(folder: Path, is_new: bool) -> None:
    for path in folder.iterdir():
        path.unlink()
    if is_new:
        folder.rmdir()


async def _write(parts: Stream, folder: Path, about: Mapping[str, Any]) -> Mapping[str, File]:
    files: dict[str, File] = {}
    table: _TableFile | None = None
    told: Mapping[str, Any] = {}
    try:
        async with aclosing(parts):
            async for part in parts:
                if not isinstance(part, bytes):
                    told = part
                    continue
                for head, lines in _by_table(part):
                    if head is not None:
                        _finish(table, files)
                        table = _TableFile(folder, *head)
                    if lines and table is not None:
                        table.add(lines)
        _finish(table, files)
    except BaseException:
        if table is not None:
            table.close()
        raise
    if not told:
        raise TrackerError("the store broke off")
    _seal(folder, {**about, **told}, files)
    return files


def _by_table(part: bytes) -> Iterator[tuple[list[Any] | None, bytes]]:
    """A stream's whole lines as the heads of tables, None where a table goes on, and the rows behind each."""
    while part:
        head = None
        if part.startswith(b"["):
            line, _, part = part.partition(b"\n")
            head = orjson.loads(line)
        end = 0 if part.startswith(b"[") else (part.find(b"\n[") + 1 or len(part))
        yield head, part[:end]
        part = part[end:]


def _finish(table: "_TableFile | None", files: dict[str, File]) -> None:
    if table is not None:
        files[table.name] = table.finish()


class _TableFile:
    """One table's file while it is written."""

    def __init__(self, folder: Path, name: str, columns: list[str]) -> None:
        self.name = name
        self._columns = columns
        self._file = f"{name}.jsonl.zst"
        self._stream = _new_file(folder / self._file)
        self._sum = hashlib.sha256()
        self._digest = Digest()
        self._bytes = 0
        self._compressor = zstandard.ZstdCompressor(LEVEL).compressobj()

    def add(self, lines: bytes) -> None:
        """Whole lines."""
        self._digest.add(lines)
        self._put(self._compressor.compress(lines))

    def _put(self, data: bytes) -> None:
        self._stream.write(data)
        self._sum.update(data)
        self._bytes += len(data)

    def finish(self) -> File:
        """On the disk, and closed."""
        self._put(self._compressor.flush())
        _settle(self._stream)
        return File(
            self._file,
            self._columns,
            self._digest.rows,
            self._digest.text,
            self._bytes,
            self._sum.hexdigest(),
        )

    def close(self) -> None:
        """As it is; safe twice."""
        self._stream.close()


def _seal(folder: Path, about: Mapping[str, Any], files: Mapping[str, File]) -> None:
    manifest = {"format": FORMAT, **about, "tables": {name: asdict(file) for name, file in files.items()}}
    new = folder / f"{MANIFEST}.new"
    stream = _new_file(new)
    stream.write(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    _settle(stream)
    _sync(folder)
    new.rename(folder / MANIFEST)
    _sync(folder)
    _sync(folder.parent)


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _settle(stream: BinaryIO) -> None:
    try:
        stream.flush()
        os.fsync(stream.fileno())
    finally:
        stream.close()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
