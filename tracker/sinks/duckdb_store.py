"""Questions to a DuckDB file: each on a connection and in a read-only transaction of its own, bounded in time
and rows. The writer goes on meanwhile; a question sees the file as it was when it began.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from tracker.errors import QueryError
from tracker.sinks.base import Answer
from tracker.sinks.duckdb_errors import first_line
from tracker.sinks.duckdb_file import CATALOG, open_to_read
from tracker.sinks.duckdb_finding import Finder
from tracker.sinks.duckdb_jobs import ended, stop
from tracker.sinks.duckdb_questions import checked
from tracker.sinks.duckdb_room import Room
from tracker.sinks.duckdb_values import converters
from tracker.sinks.registry import SinkSettings
from tracker.tuning import stay_in_background

THREADS = 2
"""Questions answered at once; further ones wait, within their own time."""

_ZONED = "TIMESTAMP WITH TIME ZONE"


class Questions:
    """Answers questions over one open database, in threads of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, room: Room) -> None:
        self._connection = connection
        self._room = room
        self._threads = ThreadPoolExecutor(THREADS, "duckdb-question", initializer=stay_in_background)
        self._asked: dict[Future[Answer], duckdb.DuckDBPyConnection] = {}

    async def ask(self, sql: str, max_rows: int, timeout_seconds: float) -> Answer:
        """The first `max_rows` rows. Raises QueryError: refused, failed, out of time (waiting included)."""
        cursor = self._connection.cursor()
        job = self._threads.submit(_answer, self._room, cursor, sql, max_rows)
        self._asked[job] = cursor
        try:
            if not await ended(job, timeout_seconds):
                raise QueryError(f"no answer within {timeout_seconds:g} seconds; the question was stopped")
            return _told(job)
        finally:
            await stop(job, cursor)
            self._asked.pop(job, None)

    async def close(self) -> None:
        """Stop what is being asked and let go of the threads; who asked gets a QueryError."""
        for job, cursor in list(self._asked.items()):
            await stop(job, cursor)
        self._threads.shutdown(wait=False)


def _told(job: "Future[Answer]") -> Answer:
    if job.cancelled():
        raise QueryError("the store was closed before it could answer")
    try:
        return job.result()
    except duckdb.InterruptException as error:
        raise QueryError(
            "the question was stopped: the store closes, or needed the memory; ask for less"
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError("the question needs more memory than the store has; ask for less at once") from error
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from error


def _answer(room: Room, cursor: duckdb.DuckDBPyConnection, sql: str, max_rows: int) -> Answer:
    """Runs in a thread. Closing the cursor ends its transaction; nothing is ever committed."""
    try:
        with room.question(cursor):
            cursor.execute(f"USE {CATALOG}")
            statement = checked(cursor, sql)
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            return _fetched(cursor, statement, max_rows)
    except duckdb.TransactionException as error:
        raise QueryError(f"a question may only read: {first_line(error)}") from error
    finally:
        cursor.close()


def _fetched(cursor: duckdb.DuckDBPyConnection, statement: str, max_rows: int) -> Answer:
    cursor.execute(statement)
    names, types = _described(cursor)
    if any(_ZONED in name for name in types):
        cursor.execute(_without_zones(statement, types))
        types = _described(cursor)[1]
    found = cursor.fetchmany(max_rows + 1)  # the result is streamed: rows beyond these are never made
    change: list[Callable[[Any], Any]] = converters(types)
    rows = [
        [to_plain(value) for to_plain, value in zip(change, row, strict=True)] for row in found[:max_rows]
    ]
    return Answer(tuple(names), rows, is_cut=len(found) > max_rows)


def _described(cursor: duckdb.DuckDBPyConnection) -> tuple[list[str], list[str]]:
    description = cursor.description or []
    return [str(column[0]) for column in description], [str(column[1]) for column in description]


def _without_zones(statement: str, types: list[str]) -> str:
    """The same question, its zoned times in UTC: the driver needs another library to give them as such."""
    columns = [f"c{number}" for number in range(len(types))]
    casts = [
        name if _ZONED not in kind else f"{name}::{'TIMESTAMP' if kind == _ZONED else 'VARCHAR'}"
        for name, kind in zip(columns, types, strict=True)
    ]
    inner = statement.rstrip().rstrip(";")
    return f"SELECT {', '.join(casts)} FROM (\n{inner}\n) AS asked ({', '.join(columns)})"  # noqa: S608 (checked, and cannot write)


class ReadOnlyStore:
    """A DuckDB file that no server has open, for the length of an `async with`."""

    def __init__(self, database: Path, memory_mb: int) -> None:
        self._database = database
        self._memory_mb = memory_mb
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._questions: Questions | None = None
        self._finder: Finder | None = None

    async def __aenter__(self) -> Self:
        """Open the file. Raises QueryError when it is missing, in use or no DuckDB file."""
        if not self._database.exists():
            raise QueryError(f"{self._database}: no such file; nothing has been stored there yet")
        try:
            self._connection = await asyncio.to_thread(open_to_read, self._database, self._memory_mb)
        except duckdb.Error as error:
            raise QueryError(f"{self._database} cannot be opened: {first_line(error)}") from error
        room = Room()
        self._questions, self._finder = Questions(self._connection, room), Finder(self._connection, room)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._questions is not None and self._finder is not None and self._connection is not None:
            await self._questions.close()
            await self._finder.close()
            self._connection.close()
            self._questions = self._finder = self._connection = None

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """As `Store.query`."""
        if self._questions is None:
            raise QueryError(f"{self._database} is not open")
        return await self._questions.ask(sql, max_rows, timeout_seconds)

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        """As `Store.find`."""
        if self._finder is None:
            raise QueryError(f"{self._database} is not open")
        return await self._finder.find(table, where, limit)


def open_read_only(database: Path, *, memory_mb: int = 512) -> ReadOnlyStore:
    """The file as a store to be asked inside `async with`, when no server has it open."""
    return ReadOnlyStore(database, memory_mb)


def to_ask(settings: SinkSettings) -> ReadOnlyStore:
    """As the registry wants it: `context` is the file."""
    return open_read_only(Path(settings.context))
