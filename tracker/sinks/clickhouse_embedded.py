"""ClickHouse's engine in this process (chdb), by clickhouse-connect's own client for it.

It has a thread of its own, for a statement blocks. A process can have one folder open, and only one process
can have it. chdb is an optional dependency: `pip install tracker[embedded-clickhouse]`.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from tracker.sinks import clickhouse_folder
from tracker.sinks.clickhouse_engine import (
    FORMAT,
    READ_SETTINGS,
    Complaint,
    Settings,
    Told,
    Unreachable,
    told,
)
from tracker.sinks.clickhouse_lines import Lines
from tracker.sinks.clickhouse_sql import literal
from tracker.sinks.ndjson import handed_over
from tracker.tuning import stay_in_background

T = TypeVar("T")

STREAM_BYTES = 256 * 1024
PATIENCE_SECONDS = 1.0
"""How long closing waits for a statement under way before it is stopped."""
STOP_SECONDS = 5.0
"""How long closing waits for a statement that was stopped, as one that syncs a file cannot be."""


@dataclass(frozen=True, slots=True)
class _Opened:
    client: Client
    thread: ThreadPoolExecutor
    running: set[str] = field(default_factory=set)
    """The marks of statements that wait or run."""


class EmbeddedEngine:
    """The engine over one folder. Two of them over the same folder share it; each has its own thread."""

    def __init__(self, folder: Path, database: str, handover: Path) -> None:
        self._folder = folder
        self._database = database
        self._handover = handover
        self._marks = _marks()
        self._opened: _Opened | None = None
        self._stopping: set[Future[None]] = set()
        self._opening = asyncio.Lock()

    @property
    def place(self) -> str:
        """The folder."""
        return f"embedded {self._folder}"

    @property
    def database(self) -> str:
        """As configured."""
        return self._database

    async def open(self) -> None:
        """As `Engine.open`. Raises ConfigError when chdb is not installed."""
        async with self._opening:
            if self._opened is None:
                thread = ThreadPoolExecutor(1, "clickhouse", initializer=stay_in_background)
                self._opened = _Opened(await self._connected_by(thread), thread)

    async def _connected_by(self, thread: ThreadPoolExecutor) -> Client:
        job = thread.submit(_told_or_raised, self._connected)
        try:
            return await asyncio.wrap_future(job)
        except BaseException:
            job.add_done_callback(_close_orphan)
            thread.shutdown(wait=False)
            raise

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        """As `Engine.command`."""
        await self._run(lambda client: client.raw_query(sql, settings=_plain(settings)), anywhere)

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        """As `Engine.ask`."""
        clause = _clause({**READ_SETTINGS, **(settings or {})})
        return await self._run(
            lambda client: told(client.raw_query(f"{sql}\n{clause}", fmt=FORMAT)), anywhere
        )

    async def stream(self, sql: str, settings: Settings | None = None) -> AsyncGenerator[bytes, None]:
        """As `Engine.stream`."""
        clause = _clause({**READ_SETTINGS, **(settings or {})})
        source: Any = await self._run(lambda client: client.raw_stream(f"{sql}\n{clause}", fmt="JSONEachRow"))
        answer = Lines()
        try:
            while piece := await self._in_thread(lambda _: source.read(STREAM_BYTES)):
                if lines := answer.take(piece):
                    yield lines
        finally:
            with suppress(Unreachable):  # closed meanwhile, and the source with it
                await self._in_thread(lambda _: source.close())
        answer.end()

    async def insert(self, table: str, data: bytes, settings: Settings | None = None) -> None:
        """As `Engine.insert`, through a file in the hand-over folder."""
        await self._run(lambda client: self._insert(client, table, data, _clause(settings or {})))

    async def close(self) -> None:
        """As `Engine.close`; a statement under way may end by itself for a moment, then it is stopped."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        job = opened.thread.submit(clickhouse_folder.closed, opened.client)
        opened.thread.shutdown(wait=False)
        if not await _ended(job, PATIENCE_SECONDS):
            self._stop(*opened.running)
            await _ended(job, STOP_SECONDS)
        for stopping in tuple(self._stopping):
            await _ended(stopping, STOP_SECONDS)

    def _connected(self) -> Client:
        self._handover.mkdir(mode=0o700, parents=True, exist_ok=True)
        return clickhouse_folder.opened(self._folder)

    def _insert(self, client: Client, table: str, data: bytes, clause: str) -> None:
        with handed_over(self._handover, data) as file:
            place = _literal(str(file.resolve()))
            client.raw_query(f"INSERT INTO {table} FROM INFILE {place} {clause} FORMAT JSONEachRow")

    async def _run(self, statement: Callable[[Client], T], anywhere: bool = False) -> T:
        mark = next(self._marks)

        def run(client: Client) -> T:
            # its answer also takes away what a statement that failed before had answered already
            client.raw_query(f"SET log_comment = {_literal(mark)}")
            client.database = "default" if anywhere else self._database
            return statement(client)

        return await self._in_thread(run, mark)

    async def _in_thread(self, call: Callable[[Client], T], mark: str = "") -> T:
        """What the call gives, in its turn. Cancelled, it has the statement of this mark stopped."""
        opened = self._opened
        if opened is None:
            raise Unreachable(f"{self.place} is not open", is_unknown=False)
        job = opened.thread.submit(_told_or_raised, partial(call, opened.client))
        opened.running.add(mark)
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if job.running():
                self._stop(mark)
            raise
        finally:
            opened.running.discard(mark)

    def _stop(self, *marks: str) -> None:
        """Have statements end soon; others that run are left alone."""
        thread = ThreadPoolExecutor(1, "clickhouse-stop")
        job = thread.submit(clickhouse_folder.stop, self._folder, marks)
        thread.shutdown(wait=False)
        self._stopping.add(job)
        job.add_done_callback(self._stopping.discard)


def _marks() -> Iterator[str]:
    """A name for each statement, for stopping it and no other."""
    engine = uuid.uuid4()
    return (f"{engine}/{number}" for number in count())


def _close_orphan(job: "Future[Client]") -> None:
    """Who opened it is gone: the folder must not stay locked."""
    if not job.cancelled() and job.exception() is None:
        clickhouse_folder.closed(job.result())


async def _ended(job: "Future[None]", seconds: float) -> bool:
    """Whether the job has ended within the time; it goes on if not."""
    await asyncio.wait({asyncio.wrap_future(job)}, timeout=seconds)
    return job.done()


def _plain(settings: Settings | None) -> dict[str, str | int]:
    return dict(settings or {})


def _clause(settings: Settings) -> str:
    """`SETTINGS a = 1, b = 'x'`; cheaper than setting and resetting each before and after."""
    if not settings:
        return ""
    values = (f"{name} = {_literal(value)}" for name, value in settings.items())
    return f"SETTINGS {', '.join(values)}"


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else literal(value)


def _told_or_raised(statement: Callable[[], T]) -> T:
    try:
        return statement()
    except Error as error:
        if error.code is not None:
            raise Complaint(error.code, str(error)) from error
        raise Unreachable(f"{type(error).__name__}: {error}", is_unknown=True) from error
    except (ClickHouseError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}", is_unknown=True) from error
