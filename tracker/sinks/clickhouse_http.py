"""A ClickHouse server over HTTP, by clickhouse-connect's async client."""

import asyncio
import io
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import aiohttp
import clickhouse_connect
import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import zstandard
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from tracker.sinks.clickhouse_engine import (
    FORMAT,
    READ_SETTINGS,
    Complaint,
    Settings,
    Told,
    Unreachable,
    told,
)
from tracker.sinks.clickhouse_lines import AS_ARRAY, ArrayLines

T = TypeVar("T")

# The driver logs whole answers of servers, which may hold values of rows.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

MOST_CHARACTERS = 160
WRITE_SETTINGS: Settings = {"wait_end_of_query": 1, "send_progress_in_http_headers": 0}
"""The status is sent when the statement has ended, not before: else an error would come behind a 200."""
COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {"": bytes, "lz4": lz4.frame.compress, "zstd": zstandard.compress}
)
"""By their names in HTTP's Content-Encoding."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection is secured."""

    verify: bool
    """Check the server's certificate."""
    ca_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """How servers are reached; the same for every host of a sink."""

    database: str
    username: str = ""
    password: str = ""
    tls: Tls | None = None
    """None: plain HTTP."""
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    connections: int = 8
    compression: str = "lz4"
    """Of inserts on their way: lz4 | zstd | '' for none."""


class HttpEngine:
    """One server. It never sends anything twice by itself: whether that is safe is the sink's question."""

    def __init__(self, host: str, port: int, access: Access) -> None:
        self._host = host
        self._port = port
        self._access = access
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def database(self) -> str:
        """As configured."""
        return self._access.database

    async def open(self) -> None:
        """As `Engine.open`: one short exchange."""
        async with self._opening:
            if self._client is None:
                self._client = await self._connected()

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        """As `Engine.command`."""
        await self._raw(sql, settings, None, anywhere)

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        """As `Engine.ask`."""
        answer = await self._raw(sql, {**READ_SETTINGS, **(settings or {})}, FORMAT, anywhere)
        return await asyncio.to_thread(told, answer)

    async def stream(self, sql: str, settings: Settings | None = None) -> AsyncGenerator[bytes, None]:
        """As `Engine.stream`. Each piece, not the whole, must come within the time for an answer."""
        client = self._now_open()
        chosen = {"database": self.database, **READ_SETTINGS, **AS_ARRAY, **(settings or {})}
        opened = await _told_or_raised(client.raw_stream(sql, settings=chosen, fmt="JSONEachRow"))
        answer = ArrayLines()
        async with opened as pieces:
            while piece := await _told_or_raised(anext(pieces, b"")):
                if lines := answer.take(piece):
                    yield lines
        answer.end()

    async def insert(self, table: str, data: bytes, settings: Settings | None = None) -> None:
        """As `Engine.insert`. A body that can be read only once keeps the driver from sending it again."""
        client = self._now_open()
        body = await asyncio.to_thread(COMPRESSORS[self._access.compression], data)
        chosen = {"database": self.database, **WRITE_SETTINGS, **(settings or {})}
        compression = self._access.compression or None
        summary = await _told_or_raised(
            client.raw_insert(table, None, io.BytesIO(body), chosen, "JSONEachRow", compression)
        )
        if not summary.query_id():
            raise Unreachable("something answered that is not ClickHouse", is_unknown=True)

    async def close(self) -> None:
        """As `Engine.close`."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(ClickHouseError, OSError):
                await client.close()

    async def _connected(self) -> AsyncClient:
        access, tls = self._access, self._access.tls
        return await _told_or_raised(
            clickhouse_connect.get_async_client(
                interface="https" if tls else "http",
                host=self._host,
                port=self._port,
                username=access.username or None,
                password=access.password,
                connect_timeout=access.connect_seconds,
                send_receive_timeout=access.answer_seconds,
                verify=tls is not None and tls.verify,
                ca_cert=_text(tls.ca_cert if tls else None),
                client_cert=_text(tls.client_cert if tls else None),
                client_cert_key=_text(tls.client_key if tls else None),
                tls_mode="strict",  # a client certificate secures the connection, the password says who it is
                connector_limit=access.connections,
                connector_limit_per_host=access.connections,
                compress=False,
                query_retries=0,
                autogenerate_session_id=False,
                show_clickhouse_errors=True,
            )
        )

    async def _raw(self, sql: str, settings: Settings | None, form: str | None, anywhere: bool) -> bytes:
        client = self._now_open()
        chosen = {"database": "default" if anywhere else self.database, **WRITE_SETTINGS, **(settings or {})}
        return await _told_or_raised(client.raw_query(sql, settings=chosen, fmt=form))

    def _now_open(self) -> AsyncClient:
        if self._client is None:
            raise Unreachable(f"{self.place} is not open", is_unknown=False)
        return self._client


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


async def _told_or_raised(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except Error as error:
        if error.code is not None:
            raise Complaint(error.code, str(error)) from error
        raise Unreachable(_reason(error), is_unknown=not _was_never_sent(error)) from error
    except (ClickHouseError, OSError, TimeoutError, aiohttp.ClientError) as error:
        raise Unreachable(_reason(error), is_unknown=not _was_never_sent(error)) from error


def _was_never_sent(error: BaseException) -> bool:
    """The connection was not made, so the statement did not leave."""
    never = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    return isinstance(error.__cause__ or error, never)


def _reason(error: BaseException) -> str:
    """What happened to the connection, cut: it may be the answer of something else that listens there."""
    cause = error.__cause__ or error
    words = str(cause).strip().partition("\n")[0][:MOST_CHARACTERS]
    return f"{type(cause).__name__}: {words}" if words else type(cause).__name__
