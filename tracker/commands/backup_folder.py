"""The folder a backup lies in: a compressed file of lines for each table, and a manifest that makes it whole.

    manifest.json       written last: without it nothing here is a backup
    events.jsonl.zst    one JSON object a line

Files are the owner's alone (0600, the folder 0700) and on the disk before the manifest names them.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson
import zstandard

from tracker.errors import TrackerError
from tracker.sinks.backup import Digest, Extent, Stream

FORMAT = 1
MANIFEST = "manifest.json"
LEVEL = 3
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
