"""The folder a backup lies in: a compressed file of lines for each table, and a manifest that makes it whole.

    manifest.json       written last: without it nothing here is a backup
    events.jsonl.zst    one JSON object a line

Files are the owner's alone (0600, the folder 0700) and on the disk before the manifest names them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson
import zstandard

from tracker.errors import TrackerError
from tracker.sinks.backup import Extent

FORMAT = 1
MANIFEST = "manifest.json"
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """One table's file as the manifest describes it."""

    file: str
    columns: list[str]
    rows: int
    digest: str
    """Of the lines; see `sinks.backup.Digest`."""
    size_bytes: int
    sha256: str
    """Of the file as it lies there."""


class BackupFolder:
    """A whole backup, to be restored: a `Copy`."""

    def __init__(self, folder: Path, about: Mapping[str, Any], files: Mapping[str, File]) -> None:
        self.folder = folder
        self.about = about
        self.files = files

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The backup in this folder, each file read once and found as it was written. Raises TrackerError."""
        about, files = _manifest(folder / MANIFEST)
        found = cls(folder, about, files)
        for file in files.values():
            found._check(file)
        return found

    @property
    def service(self) -> str:
        """The kind of store it was made of."""
        return str(self.about.get("service", ""))

    @property
    def made_at(self) -> str:
        """When, in UTC."""
        return str(self.about.get("made_at", ""))

    @property
    def tables(self) -> Mapping[str, Extent]:
        """As `Copy.tables`."""
        return {
            name: Extent(tuple(file.columns), file.rows, file.digest) for name, file in self.files.items()
        }

    def pieces(self, table: str, most_bytes: int) -> Iterator[tuple[bytes, int]]:
        """As `Copy.pieces`; a line longer than a piece is one of its own."""
        file = self.files[table]
        rows = 0
        with self._reading(file) as stream:
            reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
            for piece in _pieces(reader, most_bytes):
                count = piece.count(b"\n")
                rows += count
                yield piece, count
        if rows != file.rows:
            raise TrackerError(
                f"{self.folder / file.file} holds {rows} rows, not {file.rows} as {MANIFEST} says: "
                "the backup is damaged"
            )

    def _check(self, file: File) -> None:
        found = hashlib.sha256()
        with self._reading(file) as stream:
            while data := stream.read(READ_BYTES):
                found.update(data)
            if stream.tell() != file.size_bytes or found.hexdigest() != file.sha256:
                raise TrackerError(
                    f"{self.folder / file.file} is not as it was written: the backup is damaged"
                )

    @contextmanager
    def _reading(self, file: File) -> Iterator[BinaryIO]:
        path = self.folder / file.file
        try:
            with path.open("rb") as stream:
                yield stream
        except OSError as failure:
            raise TrackerError(f"{path}: {failure.strerror or failure}: the backup is damaged") from failure
        except zstandard.ZstdError as failure:
            raise TrackerError(f"{path} cannot be read: the backup is damaged") from failure


def _pieces(reader: Any, most_bytes: int) -> Iterator[bytes]:
    rest = bytearray()
    while data := reader.read(min(READ_BYTES, most_bytes)):
        rest += data
        end = rest.rfind(b"\n") + 1
        if end and len(rest) >= most_bytes:
            yield bytes(rest[:end])
            del rest[:end]
    if rest:
        yield bytes(rest)


def _manifest(path: Path) -> tuple[Mapping[str, Any], Mapping[str, File]]:
    """What was said about the backup, and its files. Raises TrackerError."""
    try:
        about = orjson.loads(path.read_bytes())
    except FileNotFoundError as failure:
        raise TrackerError(
            f"{path} is missing: {path.parent} holds no backup, or one that was never finished"
        ) from failure
    except OSError as failure:
        raise TrackerError(f"{path}: {failure.strerror or failure}") from failure
    except orjson.JSONDecodeError as failure:
        raise TrackerError(f"{path} is no JSON: the backup is damaged") from failure
    version = about.get("format") if isinstance(about, dict) else None
    if version != FORMAT:
        raise TrackerError(f"{path}: format {version!r} is not one that this version reads ({FORMAT})")
    try:
        return about, {str(name): _file(**file) for name, file in about["tables"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as failure:
        raise TrackerError(f"{path} does not say what the backup holds: it is damaged") from failure


def _file(file: str, columns: list[str], rows: int, digest: str, size_bytes: int, sha256: str) -> File:
    if Path(file).name != file or not isinstance(rows, int) or not isinstance(size_bytes, int):
        raise ValueError(file)
    return File(file, [str(name) for name in columns], rows, str(digest), size_bytes, str(sha256))
