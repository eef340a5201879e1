"""Several ClickHouse servers: which one is written to while one is away, and where a batch stays."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.batches import CREATED, batch, event, new_id
from tests.support.clickhouse_process import ClickHouse, serving
from tests.support.clickhouse_writes import (
    ANSWER_SECONDS,
    SOON,
    emptied,
    ids,
    open_sink,
    opened,
    over_http,
    refused,
    stored,
    until_written,
)
from tracker.sinks.base import Sink
from tracker.sinks.clickhouse import ClickHouseSink
from tracker.sinks.registry import make_sink

pytestmark = pytest.mark.long

BACK_SECONDS = 30.0
"""In this time the first server is written to again once it is well."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClickHouse, ClickHouse]]:
    folder = tmp_path_factory.mktemp("clickhouse")
    with serving(folder / "first") as first, serving(folder / "second") as second:
        yield first, second


@pytest.fixture
def database(pair: tuple[ClickHouse, ClickHouse]) -> Iterator[str]:
    """Without rows in both; both are well afterwards."""
    emptied(pair[1])
    yield emptied(pair[0])
    for server in pair:
        server.wrong()
        if not server.is_alive():
            server.kill()
            server.start()


def ten_times_as_fast() -> float:
    """A clock by which a server that failed is tried again soon."""
    return 10 * time.monotonic()


def both(pair: tuple[ClickHouse, ClickHouse], database: str) -> list[str]:
    """Ids of the events of both servers, sorted."""
    return sorted(stored(pair[0], database) + stored(pair[1], database))


async def until_first_is_written_to(sink: Sink, first: ClickHouse, database: str) -> list[dict[str, str]]:
    """Write until the first server has something new; everything that was written."""
    before, written = len(stored(first, database)), []
    deadline = time.monotonic() + BACK_SECONDS
    while len(stored(first, database)) == before:
        assert time.monotonic() < deadline, "it never went back to the first server"
        row = event()
        await until_written(sink, batch([row]), was_sent=False)
        written.append(row)
        await asyncio.sleep(0.2)
    return written


async def test_the_next_server_is_written_to_while_the_first_is_away_and_then_the_first_again(
    pair: tuple[ClickHouse, ClickHouse], database: str, tmp_path: Path
) -> None:
    first, second = pair
    groups = [[event() for _ in range(100)] for _ in range(2)]
    settings = over_http(tmp_path, first.port, second.port, database=database)
    async with opened(ClickHouseSink(settings, steady=ten_times_as_fast)) as sink:
        await sink.write(batch(groups[0]))
        assert stored(first, database) == ids(groups[0])
        first.kill()
        await until_written(sink, batch(groups[1]), was_sent=False)
        assert stored(second, database) == ids(groups[1])
        first.start()
        written = await until_first_is_written_to(sink, first, database)
        assert both(pair, database) == ids(*groups, written)


async def test_a_first_server_that_is_dead_at_the_start_keeps_nobody_from_writing(
    pair: tuple[ClickHouse, ClickHouse], database: str, tmp_path: Path
) -> None:
    first, second = pair
    first.kill()
    rows = [event() for _ in range(100)]
    sink = make_sink(over_http(tmp_path, first.port, second.port, database=database))
    await until_written(sink, batch(rows), was_sent=False)
    await sink.close()
    assert stored(second, database) == ids(rows)


@pytest.mark.parametrize("does", ["close-after", "half", pytest.param("hang-after", marks=pytest.mark.long)])
async def test_a_batch_that_may_be_written_stays_with_its_server_while_others_go_to_the_next(
    pair: tuple[ClickHouse, ClickHouse], database: str, tmp_path: Path, does: str
) -> None:
    first, second = pair
    rows, logs = [event() for _ in range(100)], [{"id": new_id(), "created_at": CREATED} for _ in range(100)]
    wait = SOON if does == "hang-after" else ANSWER_SECONDS
    ports = (first.port, second.port)
    async with open_sink(tmp_path, *ports, database=database, answer_seconds=wait) as sink:
        first.wrong({"does": does})
        sent = batch(rows)
        await refused(sink.write(sent))
        first.kill()
        await until_written(sink, batch(logs, "logs"), was_sent=False)
        assert second.ask("SELECT count() AS n FROM logs FINAL", database) == [{"n": 100}]
        await refused(sink.write(replace(sent, is_repeat=True)))
        assert stored(second, database) == []
        first.wrong()
        first.start()
        await until_written(sink, sent, tries=100)
        assert both(pair, database) == ids(rows)


async def test_after_a_restart_a_repeat_is_looked_for_on_every_server(
    pair: tuple[ClickHouse, ClickHouse], database: str, tmp_path: Path
) -> None:
    first, second = pair
    rows = [event() for _ in range(100)]
    sent = batch(rows)
    async with open_sink(tmp_path, second.port, database=database) as sink:
        await sink.write(sent)
    async with open_sink(tmp_path, first.port, second.port, database=database) as sink:
        await until_written(sink, sent)
    assert both(pair, database) == ids(rows)


async def test_a_batch_that_nobody_took_goes_to_the_server_that_is_back_first(
    pair: tuple[ClickHouse, ClickHouse], database: str, tmp_path: Path
) -> None:
    first, second = pair
    rows = [event() for _ in range(100)]
    sent = batch(rows)
    async with open_sink(tmp_path, first.port, second.port, database=database) as sink:
        for server in pair:
            server.kill()
        for _ in range(2):  # these meet connections that were open still
            await refused(sink.write(batch([{"id": new_id(), "created_at": CREATED}], "logs")))
        await refused(sink.write(sent))
        second.start()
        await until_written(sink, sent)
        assert stored(second, database) == ids(rows)
