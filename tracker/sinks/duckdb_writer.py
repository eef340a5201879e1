"""Batches into tables, each exactly once: the rows and the ledger's entry are one transaction.

A commit syncs DuckDB's write-ahead log, so what `write` returned for survives kill -9 and a power cut; as
much of the log as was acknowledged is replayed when the file is opened next.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, TypeVar

import duckdb

from tracker.errors import BatchRejected, RowsRejected, SinkUnavailable
from tracker.events import Batch
from tracker.sinks import ndjson
from tracker.sinks.duckdb_errors import DATA_ERRORS, complaint, unavailable
from tracker.sinks.duckdb_file import CATALOG, Database, DuckDbSettings, cursor_of
from tracker.sinks.duckdb_guilty import find_guilty
from tracker.sinks.duckdb_loader import Loader, WrongRows
from tracker.sinks.duckdb_room import Room
from tracker.tables import CATALOGUE, Table

T = TypeVar("T")

CHECKPOINT_BYTES = 48 << 20
"""Size of the write-ahead log at which it goes into the file, once no question is under way: with DuckDB's
own 16 MB a quarter of the time of steady batches goes into checkpoints, with much more a start after a kill
is slow."""
INSIST_BYTES = 4 * CHECKPOINT_BYTES
"""Size at which questions under way are interrupted for it."""


class Writer:
    """Writes over one connection. For one thread at a time, but for `interrupt`."""

    def __init__(self, database: Database, settings: DuckDbSettings, room: Room) -> None:
        self._connection = cursor_of(database.connection)
        self._loader = Loader(self._connection, settings.handover)
        self._handover = settings.handover
        self._log = database.log
        self._room = room

    def write(self, batch: Batch) -> None:
        """Store every row of the batch unless the ledger has its id.

        Raises RowsRejected and BatchRejected (nothing was written), SinkUnavailable, and LookupError for a
        table that the catalogue does not have.
        """
        table = CATALOGUE.get(batch.table)
        if table is None:
            raise LookupError(f"the catalogue has no table {batch.table}")
        try:
            if batch.rows and not self._is_written(batch):
                self._store_first(table, batch)
                self._checkpoint_when_due()
            self._acknowledge()
        except duckdb.Error as error:
            raise unavailable(error) from error
        except OSError as error:
            raise SinkUnavailable(f"duckdb: hand-over to {self._handover}: {error.strerror}") from error

    def change(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What the work gives, done in one transaction and durable. Raises SinkUnavailable."""
        try:
            with self._transaction():
                found = work(self._connection)
            self._checkpoint_when_due()
        except duckdb.Error as error:
            raise unavailable(error) from error
        self._acknowledge()
        return found

    def tidy(self, *, insist: bool = False) -> bool:
        """Give back the memory and the room that changes take, unless questions are under way: then False.

        Insisting interrupts them. Raises SinkUnavailable.
        """
        try:
            with self._room.alone(insist=insist) as is_alone:
                if is_alone:
                    self._checkpoint()
        except (duckdb.Error, OSError) as error:
            raise SinkUnavailable(f"duckdb: {error}") from error
        self._acknowledge()
        return is_alone

    def _acknowledge(self) -> None:
        try:
            self._log.note()
        except OSError as error:
            raise SinkUnavailable(f"duckdb: what is stored cannot be noted: {error.strerror}") from error

    def check(self) -> None:
        """Ask whether the database answers. Raises SinkUnavailable."""
        try:
            self._connection.execute("SELECT batch_id FROM ledger LIMIT 1").fetchall()
        except duckdb.Error as error:
            raise SinkUnavailable(f"duckdb: {error}") from error

    def interrupt(self) -> None:
        """Make a write under way fail as unavailable; from any thread, also when closed."""
        with suppress(duckdb.ConnectionException):
            self._connection.interrupt()

    def close(self) -> None:
        """Bring the log into the file and let go of the connection, whatever comes of the first."""
        try:
            self._checkpoint()
        finally:
            self._connection.close()

    def _is_written(self, batch: Batch) -> bool:
        question = "SELECT 1 FROM ledger WHERE batch_id = ?::UUID"
        return self._connection.execute(question, [batch.id]).fetchone() is not None

    def _store_first(self, table: Table, batch: Batch) -> None:
        """Store; when there is no memory for it, stop questions and take less."""
        try:
            self._store(table, batch)
        except duckdb.OutOfMemoryException:
            with self._room.alone(insist=True):
                self._store(table, batch, is_careful=True)

    def _checkpoint_when_due(self) -> None:
        size = self._log.bytes
        if size < CHECKPOINT_BYTES:
            return
        with self._room.alone(insist=size >= INSIST_BYTES) as is_alone:
            if is_alone:
                self._checkpoint()

    def _checkpoint(self) -> None:
        self._log.ends()
        self._connection.execute(f"CHECKPOINT {CATALOG}")

    def _store(self, table: Table, batch: Batch, *, is_careful: bool = False) -> None:
        try:
            self._loader.check_keys(table, batch.data, batch.rows, is_repeat=batch.is_repeat)
            with self._transaction():
                self._loader.load(table, batch.data, batch.rows, is_careful=is_careful)
                self._enter(batch)
        except (*DATA_ERRORS, WrongRows) as error:
            self._reject(table, batch, _reason(error))

    def _enter(self, batch: Batch) -> None:
        entry = "INSERT INTO ledger VALUES (?::UUID, ?, ?, now() AT TIME ZONE 'UTC')"
        self._connection.execute(entry, [batch.id, batch.table, batch.rows])

    def _reject(self, table: Table, batch: Batch, reason: str) -> NoReturn:
        def try_loading(lines: Sequence[bytes]) -> str | None:
            return self._try_loading(table, lines)

        reasons = find_guilty(self._connection, table, ndjson.lines(batch.data), try_loading)
        if reasons:
            raise RowsRejected(reasons) from None  # the driver's message holds values
        raise BatchRejected(reason) from None

    def _try_loading(self, table: Table, lines: Sequence[bytes]) -> str | None:
        try:
            with self._transaction(keep=False):
                self._loader.load(table, ndjson.joined(lines), len(lines))
        except (*DATA_ERRORS, WrongRows) as error:
            return _reason(error)
        return None

    @contextmanager
    def _transaction(self, *, keep: bool = True) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        if keep:
            self._connection.commit()
        else:
            self._connection.rollback()

    def _roll_back(self) -> None:
        """Leave the transaction; when the database is lost even that fails, and the first error says more."""
        try:
            self._connection.rollback()
        except duckdb.Error:
            return


def _reason(error: Exception) -> str:
    return complaint(error) if isinstance(error, duckdb.Error) else str(error)
