"""The DuckDB file: opened, brought up to date, and locked against everything but its own tables.

The file is attached to an in-memory database under the original's name, so that `sfpla.events` and `events`
are the same table whatever the file is called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import orjson

from tracker.sinks.duckdb_log import AcknowledgedLog, sync
from tracker.sinks.duckdb_rows import insert_one, literal
from tracker.sinks.migrations import Migration, pending, read_migrations
from tracker.sinks.ndjson import clear
from tracker.sinks.seed import read_seed
from tracker.tables.people import JURISDICTIONS

CATALOG = "sfpla"
"""The name under which the file's tables can be asked for."""

ROW_GROUP_ROWS = 61_440
"""Half of DuckDB's default: a checkpoint writes the last group again, and holds it in memory for that."""

LEDGER_DAYS = 30
"""How much older than its table's newest entry an entry of the ledger must be to go. A table's batches come
in order, so a batch of unknown outcome is among its newest, however long the collector was away."""


@dataclass(frozen=True, slots=True)
class DuckDbSettings:
    """Where the data lies and what it may take."""

    name: str
    database: Path
    handover: Path
    """Folder of this process alone for the files that batches go in by; emptied when the sink is opened."""
    schema: Path
    """Folder of the numbered SQL."""
    export: Path | None = None
    """Folder in which later exports may write; no other is open to SQL."""
    memory_mb: int = 96
    """DuckDB's own limit; enough for rows of usual size, and about as much resident memory."""
    most_memory_mb: int = 2048
    """How far the limit may grow when rows are so large that a checkpoint needs more."""
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Database:
    """An open file and its log."""

    connection: duckdb.DuckDBPyConnection
    log: AcknowledgedLog

    def close(self) -> None:
        """Close the file, then let others have it."""
        try:
            self.connection.close()
        finally:
            self.log.close()


def open_database(settings: DuckDbSettings) -> Database:
    """The file, made when missing, with the newest schema; what is in it is durable. Close what comes back.

    Raises duckdb.Error, OSError, or ConfigError when the schema's files and the file do not fit each other.
    """
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    clear(settings.handover)
    if settings.export is not None:
        settings.export.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = AcknowledgedLog(settings.database)
    try:
        database = Database(_connect(settings.database, settings.memory_mb, settings.threads), log)
    except BaseException:
        log.close()
        raise
    try:
        _bring_up(database, settings)
    except BaseException:
        database.close()
        raise
    return database


def _bring_up(database: Database, settings: DuckDbSettings) -> None:
    connection, log = database.connection, database.log
    if not settings.database.exists():
        _make(connection, settings.database)
    log.prepare()
    try:
        _attach(connection, settings.database)
    except duckdb.Error:
        if not log.cut_checkpoint():
            raise
        _attach(connection, settings.database)
    connection.execute(f"USE {CATALOG}")
    _migrate(connection, settings.schema)
    _seed(connection, settings)
    _prune_ledger(connection)
    log.note()
    _lock(connection, [folder for folder in (settings.handover, settings.export) if folder])


def open_to_read(database: Path, memory_mb: int) -> duckdb.DuckDBPyConnection:
    """The file for questions only, its log replayed in memory. Raises duckdb.Error."""
    connection = _connect(database, memory_mb, threads=1)
    try:
        connection.execute(f"ATTACH {literal(str(database))} AS {CATALOG} (READ_ONLY)")
        _lock(connection, [])
    except BaseException:
        connection.close()
        raise
    return connection


def cursor_of(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A connection of its own to the same open file, with a transaction of its own."""
    cursor = connection.cursor()
    cursor.execute(f"USE {CATALOG}")
    return cursor


def _connect(database: Path, memory_mb: int, threads: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": f"{database}.tmp",
            "max_temp_directory_size": "4GB",
            "preserve_insertion_order": False,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_file_cache": False,
        },
    )
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL checkpoint_threshold = '1TB'")  # the writer chooses when
    return connection


def _attach(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    options = f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    connection.execute(f"ATTACH {literal(str(database))} AS {CATALOG} ({options})")


def _make(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """A new database gets its name once it is whole: a power cut would leave one that never opens again."""
    new = database.with_name(f"{database.name}.new")
    new.unlink(missing_ok=True)
    _attach(connection, new)
    connection.execute(f"DETACH {CATALOG}")
    sync(new)
    new.rename(database)
    sync(database.parent)


def _migrate(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER NOT NULL, name VARCHAR NOT NULL, "
        "digest VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)"
    )
    rows = connection.execute("SELECT number, digest FROM schema_migrations").fetchall()
    applied: Mapping[int, str] = {int(number): str(digest) for number, digest in rows}
    for migration in pending(read_migrations(folder), applied):
        _apply(connection, migration)


def _apply(connection: duckdb.DuckDBPyConnection, migration: Migration) -> None:
    """One file and its record, both or neither."""
    connection.begin()
    try:
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, now() AT TIME ZONE 'UTC')",
            [migration.number, migration.name, migration.digest],
        )
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _seed(connection: duckdb.DuckDBPyConnection, settings: DuckDbSettings) -> None:
    """Put in what is not there, or only in an earlier version; all of it or nothing."""
    shipped = read_seed(settings.schema)
    if shipped is None:
        return
    question = "SELECT regulation, compliance, seq FROM jurisdictions WHERE updated_at >= ?::TIMESTAMP"
    there = connection.execute(question, [shipped.updated_at]).fetchall()
    lacking = [orjson.loads(line) for key, line in shipped.lines.items() if key not in there]
    if not lacking:
        return
    insert = insert_one(JURISDICTIONS, list(lacking[0]))
    connection.begin()
    try:
        for row in lacking:
            connection.execute(insert, [_parameter(value) for value in row.values()])
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _parameter(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _prune_ledger(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        DELETE FROM ledger
        USING (SELECT table_name, max(written_at) AS newest FROM ledger GROUP BY table_name) AS latest
        WHERE ledger.table_name = latest.table_name AND ledger.written_at < latest.newest - to_days(?)
        """,
        [LEDGER_DAYS],
    )


def _lock(connection: duckdb.DuckDBPyConnection, folders: list[Path]) -> None:
    """From here on SQL reaches no file outside these folders, and no setting can be changed."""
    names = ", ".join(literal(str(folder)) for folder in folders)
    connection.execute(f"SET allowed_directories = [{names}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
