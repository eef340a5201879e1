"""An open DuckDB file read as it was at one moment, in a transaction and a thread of its own.

The writer goes on meanwhile, its checkpoints too: reading takes the memory of a few thousand rows.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import duckdb

from tracker.errors import QueryError
from tracker.sinks import duckdb_lines, ndjson
from tracker.sinks.backup import LEDGER, known
from tracker.sinks.duckdb_errors import first_line
from tracker.sinks.duckdb_file import CATALOG
from tracker.sinks.duckdb_jobs import ended
from tracker.tables import CATALOGUE
from tracker.tuning import stay_in_background

T = TypeVar("T")

FETCHED_ROWS = 256
"""Rows taken from the engine at once, where texts are short."""
MOST_CHARACTERS = 4096
"""Texts up to which they are: 2,048 rows of them must fit a small limit of memory several times."""
LONG_BYTES, MOST_LONG_ROWS = 1 << 20, 2048
_INTERRUPT_EVERY_SECONDS = 0.02


class DuckDbSnapshot:
    """A `Snapshot` over a connection of its own, which it closes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, "duckdb-backup", initializer=stay_in_background)
        self._is_closed = False

    @property
    def is_one_moment(self) -> bool:
        """Always."""
        return True

    async def begin(self) -> None:
        """From here on nothing that is written is seen."""
        await self._run(self._begin)

    def _begin(self) -> None:
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        self._connection.execute(
            "SELECT 1 FROM ledger LIMIT 1"
        ).fetchall()  # a transaction begins with its first read

    async def tables(self) -> Mapping[str, Sequence[str]]:
        """As `Snapshot.tables`."""
        found = await self._run(self._columns)
        ledger = found.pop(LEDGER)
        wanted = {name: found[name] for name in CATALOGUE if name in found}
        return {**known(wanted), LEDGER: ledger}

    def _columns(self) -> dict[str, list[str]]:
        question = (
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
            "WHERE database_name = ? AND schema_name = 'main' GROUP BY table_name"
        )
        return {
            str(name): list(names) for name, names in self._connection.execute(question, [CATALOG]).fetchall()
        }

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """As `Snapshot.rows`."""
        longest = await self._run(lambda: self._number(duckdb_lines.longest_text(table)))
        make = self._short_rows if longest <= MOST_CHARACTERS else self._long_rows
        pieces = make(table, columns)
        while (lines := await self._run(lambda: next(pieces, None))) is not None:
            yield lines

    def _short_rows(self, table: str, columns: Sequence[str]) -> Iterator[bytes]:
        self._connection.execute(duckdb_lines.lines(table, columns))
        while rows := self._connection.fetchmany(FETCHED_ROWS):
            yield ndjson.joined([line.encode() for (line,) in rows])

    def _long_rows(self, table: str, columns: Sequence[str]) -> Iterator[bytes]:
        """A few rows at a time: as many as have about LONG_BYTES, judged by the ones before."""
        end = self._number(duckdb_lines.row_numbers(table))
        line_of = duckdb_lines.line_of(table, columns)
        first, count = 0, 1
        while first < end:
            found = self._connection.execute(duckdb_lines.values(table, columns, first, first + count))
            piece = ndjson.joined([line_of(row) for row in found.fetchall()])
            if piece:
                yield piece
            first += count
            count = min(2 * count, MOST_LONG_ROWS, 1 + LONG_BYTES * count // max(len(piece), 1))

    def _number(self, question: str) -> int:
        (number,) = self._connection.execute(question).fetchone() or (None,)
        return int(number or 0)

    async def _run(self, act: Callable[[], T]) -> T:
        if self._is_closed:
            raise QueryError("the store was closed")
        try:
            return await asyncio.wrap_future(self._thread.submit(act))
        except duckdb.InterruptException as error:
            raise QueryError("the store was closed") from error
        except duckdb.OutOfMemoryException as error:
            raise QueryError("rows too large for the server's memory: stop it, and back up then") from error
        except duckdb.Error as error:
            raise QueryError(f"duckdb: {first_line(error)}") from error

    async def close(self) -> None:
        """Stop what is being read and let go. Safe twice."""
        if self._is_closed:
            return
        self._is_closed = True
        job = self._thread.submit(self._connection.close)
        while not await ended(job, _INTERRUPT_EVERY_SECONDS):
            with suppress(duckdb.ConnectionException):
                self._connection.interrupt()
        self._thread.shutdown(wait=False)
