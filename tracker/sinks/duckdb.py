"""The DuckDB sink and store: batches in by one writing thread, questions beside it.

What a batch does to the file is in duckdb_writer, what may be asked in duckdb_questions; this is their life:
opening, threads, cancelling, closing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import duckdb

from tracker.errors import QueryError, SinkUnavailable
from tracker.events import Batch
from tracker.sinks.base import Answer
from tracker.sinks.duckdb_errors import is_lost, is_short_of_memory, unavailable
from tracker.sinks.duckdb_file import Database, DuckDbSettings, cursor_of, open_database
from tracker.sinks.duckdb_finding import Finder
from tracker.sinks.duckdb_jobs import ended
from tracker.sinks.duckdb_room import Room
from tracker.sinks.duckdb_snapshot import DuckDbSnapshot
from tracker.sinks.duckdb_store import Questions, open_read_only
from tracker.sinks.duckdb_writer import Writer
from tracker.sinks.registry import SinkSettings
from tracker.tuning import stay_in_background

__all__ = ["DuckDbSettings", "DuckDbSink", "from_settings", "open_read_only"]

log = logging.getLogger(__name__)
T = TypeVar("T")

CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Opened:
    database: Database
    writer: Writer
    thread: ThreadPoolExecutor
    questions: Questions
    finder: Finder


class DuckDbSink:
    """One DuckDB file, used from one event loop; closing interrupts a write after `close_seconds`."""

    def __init__(self, settings: DuckDbSettings, *, close_seconds: float = 5.0) -> None:
        self._settings = settings
        self._close_seconds = close_seconds
        self._memory_mb = settings.memory_mb
        self._opened: _Opened | None = None
        self._changing = asyncio.Lock()
        self._snapshots: WeakSet[DuckDbSnapshot] = WeakSet()

    @property
    def name(self) -> str:
        """As configured."""
        return self._settings.name

    @property
    def parallel(self) -> int:
        """One: a file has one writer."""
        return 1

    @property
    def rest_seconds(self) -> float:
        """None: a small batch costs no more than a commit."""
        return 0.0

    async def open(self) -> None:
        """Open the file and bring its schema up to date.

        Raises SinkUnavailable (another process has it, it cannot be read) and ConfigError (its schema is not
        that of the SQL files).
        """
        async with self._changing:
            if self._opened is None:
                self._opened = await self._open()
                log.info("duckdb opened", extra={"fields": {"sink": self.name}})

    async def _open(self) -> _Opened:
        thread = ThreadPoolExecutor(1, "duckdb-writer", initializer=stay_in_background)
        job = thread.submit(_open, replace(self._settings, memory_mb=self._memory_mb))
        try:
            database = await asyncio.wrap_future(job)
        except BaseException:
            job.add_done_callback(_close_orphan)
            thread.shutdown(wait=False)
            raise
        room = Room()
        writer, questions = Writer(database, self._settings, room), Questions(database.connection, room)
        return _Opened(database, writer, thread, questions, Finder(database.connection, room))

    async def write(self, batch: Batch) -> None:
        """As `Sink.write`. Cancelled, it leaves as soon as DuckDB lets it, with unknown outcome."""
        opened = self._now_open()
        job = opened.thread.submit(opened.writer.write, batch)
        try:
            await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if job.running():
                opened.writer.interrupt()
            raise
        except SinkUnavailable as error:
            await self._let_go_after(error.__cause__)
            raise

    async def change(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What the work gives, done in one transaction between two batches. Raises SinkUnavailable."""
        return await self._between_batches(lambda writer: writer.change(work))

    async def tidy(self, *, insist: bool = False) -> bool:
        """As `Writer.tidy`."""
        return await self._between_batches(lambda writer: writer.tidy(insist=insist))

    async def _between_batches(self, call: Callable[[Writer], T]) -> T:
        opened = self._now_open()
        job = opened.thread.submit(call, opened.writer)
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if job.running():
                opened.writer.interrupt()
            raise
        except SinkUnavailable as error:
            await self._let_go_after(error.__cause__)
            raise

    async def _let_go_after(self, cause: BaseException | None) -> None:
        """Close what cannot be used as it is; where memory was short, the next one allows twice as much."""
        is_short = is_short_of_memory(cause) and self._memory_mb < self._settings.most_memory_mb
        if is_short:
            self._memory_mb = min(2 * self._memory_mb, self._settings.most_memory_mb)
            fields = {"sink": self.name, "memory_mb": self._memory_mb}
            log.warning("duckdb needs more memory", extra={"fields": fields})
        if is_short or is_lost(cause):
            await self.close()

    async def check(self) -> None:
        """Ask the writing connection, behind what it is doing. Raises SinkUnavailable, after 5 s at most."""
        opened = self._now_open()
        job = opened.thread.submit(opened.writer.check)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await asyncio.wrap_future(job)
        except TimeoutError as error:
            raise SinkUnavailable(f"{self.name} did not answer within {CHECK_SECONDS:g} seconds") from error

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """As `Store.query`. While the file is being opened, a question waits for that."""
        async with self._changing:
            opened = self._opened
        if opened is None:
            raise QueryError(f"{self.name} is not open")
        return await opened.questions.ask(sql, max_rows, timeout_seconds)

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        """As `Store.find`. While the file is being opened, it waits for that."""
        async with self._changing:
            opened = self._opened
        if opened is None:
            raise QueryError(f"{self.name} is not open")
        return await opened.finder.find(table, where, limit)

    async def snapshot(self) -> DuckDbSnapshot:
        """To be begun and closed by the caller, and closed with the file at the latest. Raises QueryError."""
        async with self._changing:
            if self._opened is None:
                raise QueryError(f"{self.name} is not open")
            found = DuckDbSnapshot(cursor_of(self._opened.database.connection))
            self._snapshots.add(found)
            return found

    async def close(self) -> None:
        """Wait for the write under way, up to the bound, then interrupt it; checkpoint, close the file."""
        async with self._changing:
            opened, self._opened = self._opened, None
            if opened is None:
                return
            await opened.questions.close()
            await opened.finder.close()
            for snapshot in list(self._snapshots):
                await snapshot.close()
            job = opened.thread.submit(_shut, opened)
            if not await ended(job, self._close_seconds):
                opened.writer.interrupt()
                await ended(job, self._close_seconds)
            opened.thread.shutdown(wait=False)
            is_clean = job.done() and job.exception() is None
            log.info("duckdb closed", extra={"fields": {"sink": self.name, "is_clean": is_clean}})

    def _now_open(self) -> _Opened:
        if self._opened is None:
            raise SinkUnavailable(f"{self.name} is not open")
        return self._opened


def _open(settings: DuckDbSettings) -> Database:
    try:
        return open_database(settings)
    except duckdb.Error as error:
        raise unavailable(error) from error
    except OSError as error:
        raise SinkUnavailable(f"{settings.database} cannot be opened: {error.strerror}") from error


def _close_orphan(job: "Future[Database]") -> None:
    """Who opened it is gone: the file must not stay locked."""
    if not job.cancelled() and job.exception() is None:
        job.result().close()


def _shut(opened: _Opened) -> None:
    """Runs in the writing thread, behind every write. What a failing checkpoint leaves stays in the log."""
    try:
        opened.writer.close()
    finally:
        opened.database.close()


def settings_of(settings: SinkSettings) -> DuckDbSettings:
    """What a file needs of it: `context` is the database file."""
    return DuckDbSettings(
        name=settings.name,
        database=Path(settings.context),
        handover=settings.handover,
        schema=settings.schema / "duckdb",
        export=settings.export,
    )


def from_settings(settings: SinkSettings) -> DuckDbSink:
    """The sink as app.py makes it."""
    return DuckDbSink(settings_of(settings))
