"""The ClickHouse sink over HTTP in tests: making it, writing until it is taken, and what is stored then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.clickhouse_process import ClickHouse
from tracker.errors import SinkUnavailable
from tracker.events import Batch
from tracker.sinks.base import Sink
from tracker.sinks.registry import Server, SinkSettings, make_sink

ANSWER_SECONDS = 20.0
"""How long a sink in these tests waits for an answer: also on a machine that is busy."""
SOON = 2.0
"""The same where none comes."""
BOUND_SECONDS = 5 * SOON


def over_http(
    folder: Path,
    *ports: int,
    database: str = "sfpla",
    answer_seconds: float = ANSWER_SECONDS,
    **changes: Any,
) -> SinkSettings:
    """Of a sink that writes to these ports of loopback in this order; `changes` are `Server`'s fields."""
    hosts = tuple(("127.0.0.1", port) for port in ports)
    server = Server(**{"hosts": hosts, "database": database, **changes})
    return SinkSettings(
        "clickhouse:test",
        "clickhouse",
        database,
        folder / "handover",
        server=server,
        write_seconds=answer_seconds,
    )


def open_sink(folder: Path, *ports: int, **changes: Any) -> AbstractAsyncContextManager[Sink]:
    return opened(make_sink(over_http(folder, *ports, **changes)))


@asynccontextmanager
async def opened(sink: Sink) -> AsyncIterator[Sink]:
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


def emptied(server: ClickHouse, name: str = "tests") -> str:
    """This database without rows; its tables, which take a second to make, stay from test to test."""
    server.ask(f"CREATE DATABASE IF NOT EXISTS {name}")
    for table in ("events", "logs"):
        server.ask(f"TRUNCATE TABLE IF EXISTS {name}.{table}")
    return name


async def refused(writing: Awaitable[None]) -> SinkUnavailable:
    """How a write failed that had to fail, in time."""
    with pytest.raises(SinkUnavailable) as caught:
        async with asyncio.timeout(BOUND_SECONDS):
            await writing
    return caught.value


async def until_written(sink: Sink, sent: Batch, tries: int = 10, *, was_sent: bool = True) -> None:
    """Send it as delivery does, until it is taken; `was_sent`: an attempt was made already."""
    for _ in range(tries):
        try:
            await sink.open()
            await sink.write(replace(sent, is_repeat=was_sent))
        except SinkUnavailable:
            was_sent = True
            await asyncio.sleep(0.1)
        else:
            return
    raise AssertionError("it was never taken")


def stored(server: ClickHouse, database: str) -> list[str]:
    """Ids of the events as questions see them, sorted."""
    return sorted(row["eid"] for row in server.ask("SELECT eid FROM events FINAL", database))


def ids(*batches: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(row["eid"] for rows in batches for row in rows)
