"""ClickHouse's engine in this process (chdb), by clickhouse-connect's own client for it.

It has a thread of its own, for a statement blocks. A process can have one folder open, and only one process
can have it. chdb is an optional dependency: `pip install tracker[embedded-clickhouse]`.
"""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from tracker.errors import ConfigError
from tracker.sinks.clickhouse_engine import READ_SETTINGS, Complaint, Settings, Told, Unreachable, told
from tracker.tuning import stay_in_background

T = TypeVar("T")

FORMAT = "JSONCompactEachRowWithNames"


class EmbeddedEngine:
    """The engine over one folder. Two of them over the same folder share it; each has its own thread."""

    def __init__(self, folder: Path, database: str, handover: Path) -> None:
        self._folder = folder
        self._database = database
        self._handover = handover
        self._client: Client | None = None
        self._thread: ThreadPoolExecutor | None = None
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
            if self._client is not None:
                return
            thread = self._thread or ThreadPoolExecutor(1, "clickhouse", initializer=stay_in_background)
            self._thread = thread
            self._client = await asyncio.wrap_future(thread.submit(_told_or_raised, self._connected))

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        """As `Engine.command`."""
        await self._run(lambda client: client.raw_query(sql, settings=_plain(settings)), anywhere)

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        """As `Engine.ask`."""
        clause = _clause({**READ_SETTINGS, **(settings or {})})
        return told(
            await self._run(lambda client: client.raw_query(f"{sql}\n{clause}", fmt=FORMAT), anywhere)
        )

    async def insert(self, table: str, data: bytes, settings: Settings | None = None) -> None:
        """As `Engine.insert`, through a file in the hand-over folder."""
        await self._run(lambda client: self._insert(client, table, data, _clause(settings or {})))

    async def close(self) -> None:
        """As `Engine.close`; a statement under way ends first."""
        client, self._client = self._client, None
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if client is not None:
            with suppress(ClickHouseError):
                await asyncio.wrap_future(thread.submit(client.close))
        thread.shutdown(wait=False)

    def _connected(self) -> Client:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handover.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return clickhouse_connect.get_client(interface="chdb", path=str(self._folder.resolve()))
        except ImportError as error:
            raise ConfigError(
                'Hosts ["embedded"] needs the engine: pip install "tracker[embedded-clickhouse]"'
            ) from error

    def _insert(self, client: Client, table: str, data: bytes, clause: str) -> None:
        file = (self._handover / f"{uuid.uuid4()}.jsonl").resolve()
        try:
            file.write_bytes(data)
            quoted = str(file).replace("\\", "\\\\").replace("'", "\\'")
            client.raw_query(f"INSERT INTO {table} FROM INFILE '{quoted}' {clause} FORMAT JSONEachRow")
        finally:
            file.unlink(missing_ok=True)

    async def _run(self, statement: Callable[[Client], T], anywhere: bool = False) -> T:
        client, thread = self._client, self._thread
        if client is None or thread is None:
            raise Unreachable(f"{self.place} is not open", is_unknown=False)

        def run() -> T:
            client.database = "default" if anywhere else self._database
            return statement(client)

        return await asyncio.wrap_future(thread.submit(_told_or_raised, run))


def _plain(settings: Settings | None) -> dict[str, str | int]:
    return dict(settings or {})


def _clause(settings: Settings) -> str:
    """`SETTINGS a = 1, b = 'x'`; cheaper than setting and resetting each before and after."""
    if not settings:
        return ""
    values = (f"{name} = {_literal(value)}" for name, value in settings.items())
    return f"SETTINGS {', '.join(values)}"


def _literal(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _told_or_raised(statement: Callable[[], T]) -> T:
    try:
        return statement()
    except Error as error:
        raise Complaint(error.code, str(error)) from error
    except (ClickHouseError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}", is_unknown=True) from error
