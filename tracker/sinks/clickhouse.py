"""The ClickHouse sink and store: batches into servers or the engine in this process, questions beside it.

What a batch does to a table is in clickhouse_writer, which server it goes to is decided in clickhouse_hosts,
what may be asked in clickhouse_store; this is their life: opening, failing over, closing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tracker.errors import BatchRejected, QueryError, RowsRejected, SinkUnavailable
from tracker.events import Batch
from tracker.sinks import ndjson
from tracker.sinks.base import Answer
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_engine import Complaint, Engine, Unreachable
from tracker.sinks.clickhouse_errors import is_away, is_never_begun, unavailable
from tracker.sinks.clickhouse_finding import Finder
from tracker.sinks.clickhouse_hosts import Hosts
from tracker.sinks.clickhouse_http import Access, HttpEngine, Tls
from tracker.sinks.clickhouse_schema import Layout
from tracker.sinks.clickhouse_store import Questions
from tracker.sinks.clickhouse_writer import Writer, WriterSettings
from tracker.sinks.finding import FIND_SECONDS
from tracker.sinks.registry import Server, SinkSettings

log = logging.getLogger(__name__)
T = TypeVar("T")
Failure = Complaint | Unreachable

DATABASE = "sfpla"
"""Inside the folder of the engine in this process."""
CHECK_SECONDS = 5.0
PROBE_SECONDS = 2.0
"""How long a batch waits to learn whether a server that failed is back, while another one works."""


class ClickHouseSink:
    """The servers of one entry of the configuration, or its engine; used from one event loop."""

    def __init__(self, settings: SinkSettings, *, steady: Callable[[], float] = time.monotonic) -> None:
        server = settings.server
        count = len(server.hosts) if server else 1
        self._settings = settings
        self._steady = steady
        self._hosts = Hosts(count, are_replicas=bool(server and server.cluster))
        told = _writer_settings(settings)
        self._writers = [Writer(engine_of(settings, number), told) for number in range(count)]
        self._questions = self._new_questions()
        self._finder = finder_of(settings)
        self._is_open = False

    @property
    def name(self) -> str:
        """As configured."""
        return self._settings.name

    @property
    def parallel(self) -> int:
        """As many as there are connections; one for the engine in this process."""
        return self._settings.server.connections if self._settings.server else 1

    @property
    def rest_seconds(self) -> float:
        """Each insert makes parts that have to be merged."""
        return 1.0

    async def open(self) -> None:
        """Connect to the first server that works and bring its schema up to date.

        Raises SinkUnavailable, and ConfigError where the engine in this process is not installed.
        """
        if not self._is_open and self._settings.server is None:
            await asyncio.to_thread(ndjson.clear, self._settings.handover)
        self._opened_at(await self._first_of(self._hosts.order(self._steady()), self._open_host))

    async def write(self, batch: Batch) -> None:
        """As `Sink.write`. Cancelled, it leaves a batch of unknown outcome, which stays with its server."""
        if not self._is_open:
            raise SinkUnavailable(f"{self.name} is not open")

        async def send(host: int) -> None:
            await self._ask_whether_back(host, batch)
            await self._write_to(host, batch)

        await self._first_of(
            await self._candidates(batch), send, is_over=lambda error: not is_never_begun(error)
        )

    async def check(self) -> None:
        """As `Sink.check`, within 5 s: some server answers."""
        if not self._is_open:
            raise SinkUnavailable(f"{self.name} is not open")
        seconds = CHECK_SECONDS / self._hosts.count
        await self._first_of(self._hosts.order(self._steady()), partial(self._probe, seconds=seconds))

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """As `Store.query`."""
        if not self._is_open:
            raise QueryError(f"{self.name} is not open")
        return await self._questions.query(sql, max_rows=max_rows, timeout_seconds=timeout_seconds)

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        """As `Store.find`."""
        if not self._is_open:
            raise QueryError(f"{self.name} is not open")
        return await self._finder.find(table, where, limit)

    async def close(self) -> None:
        """Let go of every server; what is under way is stopped, with unknown outcome."""
        was_open, self._is_open = self._is_open, False
        await self._questions.close()
        await self._finder.close()
        await asyncio.gather(*(writer.close() for writer in self._writers))
        if was_open:
            log.info("clickhouse closed", extra={"fields": {"sink": self.name}})

    async def _first_of(
        self,
        hosts: Sequence[int],
        attempt: Callable[[int], Awaitable[None]],
        is_over: Callable[[Failure], bool] = lambda _: False,
    ) -> int:
        """The first server at which the attempt ends well. Raises SinkUnavailable, for the first that failed.

        `is_over`: after this failure no other server may be tried.
        """
        failures: list[SinkUnavailable] = []
        for host in hosts:
            try:
                await attempt(host)
            except (Complaint, Unreachable) as error:
                failures.append(unavailable(error, self._place(host)))
                if is_over(error):
                    break
            else:
                return host
        raise failures[0]

    async def _candidates(self, batch: Batch) -> Sequence[int]:
        """The servers that may take it, in the order in which they are tried."""
        home = self._hosts.home(batch.lane, batch.id)
        if self._hosts.may_be_anywhere(batch.lane, batch.id, is_repeat=batch.is_repeat):
            home = await self._found(batch)
        if home is not None:
            return (home,)
        self._hosts = self._hosts.nowhere(batch.lane, batch.id)
        return self._hosts.order(self._steady())

    async def _found(self, batch: Batch) -> int | None:
        """The server that has some of its rows. Raises SinkUnavailable while one cannot be asked."""
        for host, writer in enumerate(self._writers):
            try:
                await self._open_host(host)
                if await self._judged(host, writer.has_some_of(batch)):
                    return host
            except (Complaint, Unreachable) as error:
                reason = unavailable(error, self._place(host)).reason
                raise SinkUnavailable(
                    f"{reason}; it may have a batch of a process before this one", is_connection=False
                ) from None
        return None

    async def _ask_whether_back(self, host: int, batch: Batch) -> None:
        """A batch that another server could take does not wait long for one that failed."""
        if self._hosts.is_doubtful(host) and self._hosts.home(batch.lane, batch.id) is None:
            await self._probe(host, PROBE_SECONDS)

    async def _probe(self, host: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._judged(host, self._writers[host].probe())
        except TimeoutError:
            self._hosts = self._hosts.failed(host, self._steady())
            raise Unreachable(f"no answer within {seconds:g} seconds", is_unknown=False) from None

    async def _write_to(self, host: int, batch: Batch) -> None:
        """Write there; unless it is clear that it took no effect, this is the batch's home from now on."""
        await self._open_host(host)
        before = self._hosts.home(batch.lane, batch.id)
        self._hosts = self._hosts.sent(batch.lane, batch.id, host)
        try:
            await self._judged(host, self._writers[host].write(batch))
        except (Complaint, Unreachable) as error:
            if before is None and is_never_begun(error):
                self._hosts = self._hosts.nowhere(batch.lane, batch.id)
            raise
        except (RowsRejected, BatchRejected):
            self._hosts = self._hosts.settled(batch.lane)
            raise
        self._hosts = self._hosts.settled(batch.lane)

    async def _open_host(self, host: int) -> None:
        await self._judged(host, self._writers[host].open())

    async def _judged(self, host: int, call: Awaitable[T]) -> T:
        """What the call gives; how it ends says whether the server works."""
        try:
            answer = await call
        except (Complaint, Unreachable) as error:
            if is_away(error):
                self._hosts = self._hosts.failed(host, self._steady())
            raise
        self._hosts = self._hosts.answered(host)
        return answer

    def _opened_at(self, host: int) -> None:
        if not self._is_open:
            fields = {"sink": self.name, "place": self._place(host)}
            log.info("clickhouse opened", extra={"fields": fields})
            self._questions = self._new_questions()
            self._finder = finder_of(self._settings)
        self._is_open = True

    def _new_questions(self) -> Questions:
        return Questions([partial(engine_of, self._settings, host) for host in range(self._hosts.count)])

    def _place(self, host: int) -> str:
        return self._writers[host].engine.place


def from_settings(settings: SinkSettings) -> ClickHouseSink:
    """The sink as app.py makes it: `context` is the folder of the engine in this process."""
    return ClickHouseSink(settings)


def engine_of(settings: SinkSettings, number: int = 0, answer_seconds: float | None = None) -> Engine:
    """The engine in this process, else the server of this number; not open.

    A server's answer is waited for as long as a write may take, unless `answer_seconds` says otherwise.
    """
    server = settings.server
    if server is None:
        return EmbeddedEngine(Path(settings.context), DATABASE, settings.handover)
    host, port = server.hosts[number]
    return HttpEngine(host, port, _access(server, answer_seconds or settings.write_seconds))


def finder_of(settings: SinkSettings) -> Finder:
    """What finds rows, with engines of its own."""
    server = settings.server
    numbers = range(len(server.hosts) if server else 1)
    engines = [engine_of(settings, number, FIND_SECONDS) for number in numbers]
    return Finder(engines, are_replicas=bool(server and server.cluster))


def layout_of(settings: SinkSettings) -> Layout:
    """How the tables lie."""
    cluster = settings.server.cluster if settings.server else ""
    return Layout(cluster, settings.durability, settings.ttl_seconds)


def _writer_settings(settings: SinkSettings) -> WriterSettings:
    return WriterSettings(settings.schema / "clickhouse", layout_of(settings), settings.write_seconds)


def _access(server: Server, answer_seconds: float) -> Access:
    return Access(
        database=server.database,
        username=server.username,
        password=server.password,
        tls=Tls(server.is_verified, server.ca_cert, server.cert, server.key) if server.is_tls else None,
        connect_seconds=server.connect_seconds,
        answer_seconds=answer_seconds,
        connections=server.connections,
        compression="" if server.compression == "none" else server.compression,
    )
