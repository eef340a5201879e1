"""Copies of a store: what a backup reads and a restore writes, the same for every store.

Rows travel as lines of JSON, the form in which every store takes them, so a copy of one store can be put into
another. How a store reads and takes them is in the module that `registry.BACKUPS` names; the folder in which
a copy lies is `commands.backup_folder`'s.
"""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import orjson

from tracker.errors import QueryError, TrackerError
from tracker.sinks import ndjson
from tracker.sinks.base import Sink
from tracker.sinks.registry import BACKUPS, SinkSettings
from tracker.tables import CATALOGUE

LEDGER = "ledger"
"""A table beside the catalogue's: the batches that have taken effect, in stores that keep them."""

Stream = AsyncGenerator[bytes | Mapping[str, Any], None]
"""For each table a line `["name",["column",…]]` and its rows' lines; the last item says how it was made."""


class Snapshot(Protocol):
    """A store's tables, to be read. Everything raises QueryError."""

    @property
    def is_one_moment(self) -> bool:
        """All tables are as they were at one moment; else each is as it was when its reading began."""

    async def tables(self) -> Mapping[str, Sequence[str]]:
        """Every column of the catalogue's tables that are there, and of the ledger."""

    def rows(self, table: str, columns: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """Every row once, as whole lines in pieces of some 100 KB."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a copy holds of one table."""

    columns: tuple[str, ...]
    rows: int
    digest: str
    """Of the rows' lines whatever their order; see `Digest`."""


class Copy(Protocol):
    """A copy that is whole, to be restored."""

    @property
    def service(self) -> str:
        """The kind of store it was made of."""

    @property
    def tables(self) -> Mapping[str, Extent]:
        """What it holds."""

    def pieces(self, table: str, most_bytes: int) -> Iterator[tuple[bytes, int]]:
        """Whole lines and how many; raises TrackerError when the file does not hold what it should."""


class Digest:
    """Of lines in any order: what two equal sets of rows have in common."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, lines: bytes) -> None:
        """Whole lines, each ended by a newline."""
        for line in ndjson.lines(lines):
            self._sum += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big")
            self.rows += 1

    @property
    def text(self) -> str:
        """16 hexadecimal digits."""
        return f"{self._sum % 2**64:016x}"


def snapshot_of(settings: SinkSettings, sink: Sink | None) -> AbstractAsyncContextManager[Snapshot]:
    """The store as it is when the context is entered, which raises QueryError.

    `sink` is the open one of a server that runs in this process, None when no server has the store open.
    """
    found: AbstractAsyncContextManager[Snapshot] = _module(settings).snapshot(settings, sink)
    return found


async def restore(settings: SinkSettings, copy: Copy) -> Mapping[str, int]:
    """Put every row into the store, which must be empty or hold nothing else; how many rows, by table.

    Raises TrackerError: the store holds what the copy does not know (nothing was written then), it cannot be
    written, or does not hold afterwards what the copy does. Nobody else may have the store open.
    """
    refuse_unknown(copy)
    told: Mapping[str, int] = await _module(settings).restore(settings, copy)
    return told


def _module(settings: SinkSettings) -> Any:
    if settings.service not in BACKUPS:
        raise QueryError(
            f"{settings.name}: there is no backup of {settings.service}, but of {', '.join(BACKUPS)}"
        )
    return import_module(BACKUPS[settings.service])


async def stream(opening: AbstractAsyncContextManager[Snapshot], settings: SinkSettings) -> Stream:
    """A whole store, table by table."""
    async with opening as snapshot:
        for table, columns in (await snapshot.tables()).items():
            yield orjson.dumps([table, list(columns)]) + b"\n"
            async with aclosing(snapshot.rows(table, columns)) as pieces:
                async for piece in pieces:
                    yield piece
        yield {"service": settings.service, "is_one_moment": snapshot.is_one_moment}


def known(found: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Columns by table, in the catalogue's order. Raises QueryError for one that could not be restored."""
    for table, columns in found.items():
        other = [name for name in columns if name not in CATALOGUE[table].kinds()]
        if other:
            raise QueryError(
                f"{table}.{other[0]} is no column that this version knows: use the version that made it, "
                "or the store's own tools"
            )
    return {table: found[table] for table in CATALOGUE if table in found}


def refuse_unknown(copy: Copy) -> None:
    """Raise TrackerError when the copy holds a table or column that this version does not know."""
    for table, extent in copy.tables.items():
        if table == LEDGER:
            continue
        if table not in CATALOGUE:
            raise TrackerError(
                f"the backup has a table {table}, which this version does not know; use a newer one"
            )
        other = [name for name in extent.columns if name not in CATALOGUE[table].kinds()]
        if other:
            raise TrackerError(
                f"the backup has a column {table}.{other[0]}, which this version does not know; "
                "use a newer one"
            )


def refuse_newer_columns(copy: Copy, tables: Sequence[str]) -> None:
    """Raise TrackerError when one of these tables, which hold rows, has columns that the copy lacks."""
    for table in tables:
        extent = copy.tables.get(table)
        missing = [name for name in CATALOGUE[table].kinds() if extent is None or name not in extent.columns]
        if missing:
            raise TrackerError(
                f"{table} holds rows and its schema is newer than the backup's, which knows no {missing[0]}: "
                "restore into an empty store"
            )


def newer_rows(table: str, rows: int) -> TrackerError:
    """The refusal to restore over rows that would be lost or outdated."""
    return TrackerError(
        f"{table} holds {rows} rows that the backup has not, or has older: restore into an empty store, "
        "or move this one away first"
    )


def refuse_difference(table: str, extent: Extent, found: Digest, *, is_same_service: bool) -> None:
    """Raise TrackerError when a restored table is not what was copied."""
    if found.rows != extent.rows:
        raise TrackerError(
            f"{table}: the backup has {extent.rows} rows, the store {found.rows} after restoring"
        )
    if is_same_service and found.text != extent.digest:
        raise TrackerError(f"{table}: the store holds other values after restoring than were backed up")
