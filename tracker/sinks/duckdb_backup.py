"""A DuckDB file copied and restored.

A restore makes a new file beside the old one and puts it in its place once it is whole and holds all that the
old one does: cut off at any moment, it has changed nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import duckdb
import uuid_utils

from tracker.errors import QueryError, SinkError, TrackerError
from tracker.events import Batch
from tracker.sinks import ndjson
from tracker.sinks.backup import LEDGER, Copy, Digest, newer_rows, refuse_difference, refuse_newer_columns
from tracker.sinks.base import Sink
from tracker.sinks.duckdb import DuckDbSink, settings_of
from tracker.sinks.duckdb_errors import first_line
from tracker.sinks.duckdb_file import CATALOG, DuckDbSettings, open_database, open_to_read
from tracker.sinks.duckdb_log import sync
from tracker.sinks.duckdb_room import Room
from tracker.sinks.duckdb_rows import literal, reader
from tracker.sinks.duckdb_snapshot import DuckDbSnapshot
from tracker.sinks.duckdb_writer import Writer
from tracker.sinks.registry import SinkSettings
from tracker.tables import CATALOGUE, Table

MEMORY_MB = 512
PIECE_BYTES = 8 << 20
LEDGER_COLUMNS = "{batch_id: 'UUID', table_name: 'VARCHAR', row_count: 'BIGINT', written_at: 'TIMESTAMP'}"


@asynccontextmanager
async def snapshot(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[DuckDbSnapshot]:
    """As `backup.snapshot_of`."""
    reading = await cast(DuckDbSink, sink).snapshot() if sink else _of_file(Path(settings.context))
    try:
        await reading.begin()
        yield reading
    finally:
        await reading.close()


def _of_file(database: Path) -> DuckDbSnapshot:
    if not database.exists():
        raise QueryError(f"{database}: no such file; nothing has been stored there yet")
    try:
        connection = open_to_read(database, MEMORY_MB)
        connection.execute(f"USE {CATALOG}")
    except duckdb.Error as error:
        raise QueryError(f"{database} cannot be opened: {first_line(error)}") from error
    return DuckDbSnapshot(connection)


async def restore(settings: SinkSettings, copy: Copy) -> Mapping[str, int]:
    """As `backup.restore`."""
    with _translated(settings.name):
        new = await asyncio.to_thread(_made, settings, copy)
    try:
        await _verify(new, copy)
        with _translated(settings.name):
            await asyncio.to_thread(_take_place, settings, new, copy)
    finally:
        _discard(new)
    return {table: extent.rows for table, extent in copy.tables.items() if table in CATALOGUE}


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except SinkError as error:
        raise TrackerError(f"{name}: {error}") from error
    except duckdb.Error as error:
        raise TrackerError(f"{name}: {first_line(error)}") from error
    except OSError as error:
        raise TrackerError(f"{name}: {error.strerror or error}") from error


def _made(settings: SinkSettings, copy: Copy) -> Path:
    """A new file beside the store's with all that the copy holds, closed and durable.

    An old one that somebody has open, or that is none, is complained about before the work and not behind it.
    """
    database = Path(settings.context)
    _refuse_orphan(database.with_name(f"{database.name}.wal"), database)
    if database.exists():
        _empty_log(settings_of(settings))
    new = database.with_name(f"{database.name}.restoring")
    _discard(new)
    try:
        _fill(replace(settings_of(settings), database=new, memory_mb=MEMORY_MB), copy)
    except BaseException:
        _discard(new)
        raise
    return new


def _refuse_orphan(log: Path, database: Path) -> None:
    """Raise TrackerError for a log of a file that is gone: it would be replayed into the new one."""
    if log.exists() and not database.exists():
        raise TrackerError(
            f"{log} is the log of a file that is not there: move it to where {database.name} is"
        )


def _discard(new: Path) -> None:
    for file in new.parent.glob(f"{new.name}*"):
        if file.is_file():
            file.unlink()


def _fill(settings: DuckDbSettings, copy: Copy) -> None:
    database = open_database(settings)
    try:
        writer = Writer(database, settings, Room())
        try:
            for name in copy.tables:
                if name in CATALOGUE:
                    _write(writer, name, copy)
            _fill_ledger(database.connection, settings.handover, copy)
        finally:
            writer.close()
    finally:
        database.close()


def _write(writer: Writer, table: str, copy: Copy) -> None:
    for data, rows in copy.pieces(table, PIECE_BYTES):
        writer.write(Batch(str(uuid_utils.uuid7()), table, rows, data))


def _fill_ledger(connection: duckdb.DuckDBPyConnection, handover: Path, copy: Copy) -> None:
    """The ledger as it was, without the pieces' own entries: a batch that waits still must not come twice."""
    connection.execute("DELETE FROM ledger")
    if LEDGER not in copy.tables:
        return
    for data, _ in copy.pieces(LEDGER, PIECE_BYTES):
        with ndjson.handed_over(handover, data) as file:
            connection.execute(f"INSERT INTO ledger SELECT * FROM {reader(file, LEDGER_COLUMNS)}")  # noqa: S608 (a path)


async def _verify(new: Path, copy: Copy) -> None:
    """Read what was written and compare it with what was copied. Raises TrackerError."""
    reading = _of_file(new)
    try:
        await reading.begin()
        for table, extent in copy.tables.items():
            found = Digest()
            async with aclosing(reading.rows(table, extent.columns)) as pieces:
                async for piece in pieces:
                    found.add(piece)
            is_same = copy.service == "duckdb"
            if table in CATALOGUE or is_same:
                refuse_difference(table, extent, found, is_same_service=is_same)
    finally:
        await reading.close()


def _take_place(settings: SinkSettings, new: Path, copy: Copy) -> None:
    database = Path(settings.context)
    if database.exists():
        _empty_log(settings_of(settings))
        _succeed(database, new, copy)
    sync(new)
    new.rename(database)
    sync(database.parent)


def _empty_log(settings: DuckDbSettings) -> None:
    """Bring the old file's log into it: the new file must not find a log that is not its own."""
    old = open_database(settings)
    try:
        old.log.ends()
        old.connection.execute(f"CHECKPOINT {CATALOG}")
    finally:
        old.close()


def _succeed(old: Path, new: Path, copy: Copy) -> None:
    """Raise TrackerError when the old file holds what the new one has not; else hand its ledger on.

    All its rows are in the new one then, so its batches must not come twice, whatever the copy knows of them.
    """
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": f"{MEMORY_MB}MB", "threads": 1, "temp_directory": f"{new}.tmp"}
    )
    try:
        connection.execute(f"ATTACH {literal(str(old))} AS old (READ_ONLY)")
        connection.execute(f"ATTACH {literal(str(new))} AS new")
        _compare(connection, copy)
        connection.execute("INSERT INTO new.ledger FROM old.ledger ANTI JOIN new.ledger USING (batch_id)")
        connection.execute("CHECKPOINT new")
    finally:
        connection.close()


def _compare(connection: duckdb.DuckDBPyConnection, copy: Copy) -> None:
    _refuse_others(connection)
    held = [name for name in CATALOGUE if _count(connection, f"SELECT count(*) FROM old.{name}")]  # noqa: S608 (the catalogue's)
    refuse_newer_columns(copy, held)
    for name in held:
        rows = _count(connection, _newer(CATALOGUE[name])) or _surplus(connection, name)
        if rows:
            raise newer_rows(name, rows)


def _refuse_others(connection: duckdb.DuckDBPyConnection) -> None:
    question = (
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old' AND table_name NOT IN "
        "(SELECT table_name FROM duckdb_tables() WHERE database_name = 'new')"
    )
    other = connection.execute(question).fetchone()
    if other:
        raise TrackerError(
            f"the file has a table of its own, {other[0]}, that the backup has not: move the file away first"
        )


def _newer(table: Table) -> str:
    same = " AND ".join(f"n.{name} = o.{name}" for name in table.key)
    version = f" AND n.{table.version} >= o.{table.version}" if table.version else ""
    return f"SELECT count(*) FROM old.{table.name} o ANTI JOIN new.{table.name} n ON {same}{version}"  # noqa: S608 (the catalogue's names)


def _surplus(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many more rows the old file has: rows of one key may be many."""
    counts = f"SELECT greatest((SELECT count(*) FROM old.{table}) - (SELECT count(*) FROM new.{table}), 0)"  # noqa: S608 (as above)
    return _count(connection, counts)


def _count(connection: duckdb.DuckDBPyConnection, question: str) -> int:
    (count,) = connection.execute(question).fetchone() or (0,)
    return int(count)
