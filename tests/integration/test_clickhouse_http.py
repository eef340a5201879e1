"""The ClickHouse sink over a network that breaks and with servers that do wrong.

Whatever happens, a write ends in bounded time as unavailable or as done, and once the fault is over the same
batch leaves one set of rows.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import batch, event
from tests.support.clickhouse_process import KINDS, ClickHouse, serving
from tests.support.clickhouse_writes import (
    ANSWER_SECONDS,
    SOON,
    emptied,
    ids,
    open_sink,
    over_http,
    refused,
    stored,
    until_written,
)
from tests.support.toxiproxy import Proxy, Toxiproxy, broken_network
from tracker.sinks.registry import make_sink

pytestmark = pytest.mark.timeout(300)  # Go may have to build the proxy first


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """One server for all tests."""
    with serving(tmp_path_factory.mktemp("clickhouse") / "data", request.param) as running:
        yield running


@pytest.fixture(scope="module")
def network() -> Iterator[Toxiproxy]:
    with broken_network() as proxy:
        yield proxy


@pytest.fixture
def way(network: Toxiproxy, server: ClickHouse) -> Proxy:
    return network.to(server.port, uuid.uuid4().hex)


@pytest.fixture
def database(server: ClickHouse) -> Iterator[str]:
    """Without rows; nothing is wrong afterwards."""
    yield emptied(server)
    server.resume()
    server.wrong()
    if not server.is_alive():
        server.start()


@dataclass(frozen=True)
class Answer:
    """What a server does with a write, and what the sink must make of it."""

    rule: Mapping[str, Any]
    is_connection: bool
    """The sink as a whole is away; else this table alone waits."""
    is_written: bool = False
    """It was executed although nobody heard of it."""

    def __str__(self) -> str:
        return f"{self.rule['does']}-{self.rule.get('code', self.rule.get('status', ''))}"


def complains(code: int, *, is_connection: bool, does: str = "complain") -> Answer:
    return Answer({"does": does, "code": code, "times": 1}, is_connection, does == "complain-after")


ANSWERS = (
    complains(202, is_connection=False),  # too many simultaneous queries
    complains(241, is_connection=False),  # its memory is used up
    complains(252, is_connection=False),  # too many parts
    complains(242, is_connection=False),  # the table is read-only
    complains(236, is_connection=True),  # it is shutting down
    complains(394, is_connection=True),  # the query was cancelled, as at a shutdown
    complains(999, is_connection=True),  # Keeper is away
    complains(210, is_connection=True),  # its own network
    complains(159, is_connection=True, does="complain-after"),  # it took too long, and was done
    complains(319, is_connection=True, does="complain-after"),  # it does not know itself
    Answer({"does": "hang", "times": 1}, True),
    Answer({"does": "hang-after", "times": 1}, True, is_written=True),
    Answer({"does": "close", "times": 1}, True),
    Answer({"does": "close-after", "times": 1}, True, is_written=True),
    Answer({"does": "half", "times": 1}, True, is_written=True),
    Answer({"does": "status", "status": 502, "text": "<html>bad gateway", "times": 1}, True),
    Answer({"does": "status", "status": 200, "text": "<html>welcome", "times": 1}, True),
    Answer({"does": "status", "status": 204, "times": 1}, True),
)


def mostly_long(cases: Sequence[object]) -> list[object]:
    """The first three for every day, all of them for the long run."""
    return [*cases[:3], *(pytest.param(case, marks=pytest.mark.long) for case in cases[3:])]


@pytest.mark.parametrize("answer", mostly_long(ANSWERS), ids=str)
async def test_what_a_server_answers_wrongly_is_waited_out_and_leaves_one_set_of_rows(
    server: ClickHouse, database: str, tmp_path: Path, answer: Answer
) -> None:
    rows = [event(ename=f"e{number}") for number in range(300)]
    sent = batch(rows)
    wait = SOON if "hang" in str(answer) else ANSWER_SECONDS
    async with open_sink(tmp_path, server.port, database=database, answer_seconds=wait) as sink:
        server.wrong(answer.rule)
        error = await refused(sink.write(sent))
        assert error.is_connection is answer.is_connection, error.reason
        assert stored(server, database) == (ids(rows) if answer.is_written else [])
        await until_written(sink, sent)
        assert stored(server, database) == ids(rows)


@pytest.mark.parametrize("does", [pytest.param("die", marks=pytest.mark.long), "die-after"])
async def test_a_server_killed_around_a_write_has_one_set_of_rows_afterwards(
    server: ClickHouse, database: str, tmp_path: Path, does: str
) -> None:
    rows = [event() for _ in range(2000)]
    sent = batch(rows)
    async with open_sink(tmp_path, server.port, database=database) as sink:
        server.wrong({"does": does})
        assert (await refused(sink.write(sent))).is_connection
        server.kill()
        assert (await refused(sink.write(sent))).is_connection
        server.wrong()
        server.start()
        await until_written(sink, sent)
        assert stored(server, database) == ids(rows)


@dataclass(frozen=True)
class Breakage:
    """What is wrong with the network."""

    kind: str
    direction: Any
    attributes: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.kind}-{self.direction}-{'-'.join(map(str, self.attributes.values()))}"


BREAKAGES = (
    Breakage("timeout", "upstream", {"timeout": 0}),  # what is sent vanishes
    Breakage("timeout", "downstream", {"timeout": 0}),  # the answer vanishes
    Breakage("timeout", "downstream", {"timeout": 300}),
    Breakage("reset_peer", "upstream", {"timeout": 0}),
    Breakage("reset_peer", "downstream", {"timeout": 0}),
    Breakage("reset_peer", "downstream", {"timeout": 200}),
    Breakage("limit_data", "upstream", {"bytes": 300}),  # in the middle of the head
    Breakage("limit_data", "upstream", {"bytes": 20_000}),  # in the middle of the body
    Breakage("limit_data", "downstream", {"bytes": 0}),
    Breakage("limit_data", "downstream", {"bytes": 60}),  # in the middle of the answer
)


@pytest.mark.parametrize("breakage", mostly_long(BREAKAGES), ids=str)
async def test_a_network_that_breaks_in_a_write_is_unavailable_and_leaves_one_set_of_rows(
    server: ClickHouse, database: str, way: Proxy, tmp_path: Path, breakage: Breakage
) -> None:
    rows = [event(params={"at": number, "id": event()["eid"]}) for number in range(2000)]
    sent = batch(rows)
    async with open_sink(tmp_path, way.port, database=database, answer_seconds=SOON) as sink:
        way.add(breakage.kind, breakage.direction, **breakage.attributes)
        assert (await refused(sink.write(sent))).is_connection
        way.clear()
        await until_written(sink, sent)
        assert stored(server, database) == ids(rows)


async def test_a_slow_network_is_no_fault(
    server: ClickHouse, database: str, way: Proxy, tmp_path: Path
) -> None:
    rows = [event() for _ in range(500)]
    async with open_sink(tmp_path, way.port, database=database) as sink:
        way.add("latency", "downstream", latency=200, jitter=100)
        way.add("slicer", "upstream", average_size=500, size_variation=100, delay=100)
        began = time.monotonic()
        await sink.write(batch(rows))
        assert time.monotonic() - began > 0.1
        assert stored(server, database) == ids(rows)


async def test_a_connection_that_died_while_idle_costs_no_rows(
    server: ClickHouse, database: str, way: Proxy, tmp_path: Path
) -> None:
    first, second = batch([event()]), batch([event()])
    async with open_sink(tmp_path, way.port, database=database) as sink:
        await sink.write(first)
        way.cut()
        way.mend()
        await until_written(sink, second)
        assert len(stored(server, database)) == 2


async def test_a_server_that_stands_still_is_waited_for_no_longer_than_configured(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    rows = [event() for _ in range(100)]
    sent = batch(rows)
    async with open_sink(tmp_path, server.port, database=database, answer_seconds=SOON) as sink:
        server.pause()
        began = time.monotonic()
        assert (await refused(sink.write(sent))).is_connection
        assert time.monotonic() - began < 2 * SOON
        server.resume()
        await until_written(sink, sent)
        assert stored(server, database) == ids(rows)


async def test_nothing_listens(tmp_path: Path, way: Proxy, server: ClickHouse, database: str) -> None:
    way.cut()
    sink = make_sink(over_http(tmp_path, way.port, database=database))
    error = await refused(sink.open())
    assert error.is_connection
    assert str(way.port) in error.reason
    way.mend()
    await sink.open()
    await sink.write(batch([event()]))
    await sink.close()
    assert len(stored(server, database)) == 1


async def test_a_host_that_takes_connections_and_says_nothing_is_given_up_in_time(
    tmp_path: Path, way: Proxy, database: str
) -> None:
    way.add("timeout", "downstream", timeout=0)
    settings = over_http(tmp_path, way.port, database=database, answer_seconds=SOON, connect_seconds=SOON / 2)
    sink = make_sink(settings)
    assert (await refused(sink.open())).is_connection
    await sink.close()


@pytest.mark.parametrize("compression", ["lz4", "zstd", "none"])
async def test_rows_arrive_in_every_compression(
    server: ClickHouse, database: str, tmp_path: Path, compression: str
) -> None:
    rows = [event(ename="Ünï ☃ " * 50) for _ in range(1000)]
    async with open_sink(tmp_path, server.port, database=database, compression=compression) as sink:
        await sink.write(batch(rows))
        assert stored(server, database) == ids(rows)


async def test_as_many_writes_at_once_as_the_sink_allows_are_all_there(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    async with open_sink(tmp_path, server.port, database=database) as sink:
        groups = [[event() for _ in range(200)] for _ in range(3 * sink.parallel)]
        for at in range(0, len(groups), sink.parallel):
            await asyncio.gather(*(sink.write(batch(rows)) for rows in groups[at : at + sink.parallel]))
        assert stored(server, database) == ids(*groups)
