"""Delivery to ClickHouse over HTTP while its server fails: nothing lost, doubled or put aside, in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.campaign import STORE_DIES, Campaign
from tests.support.batches import CREATED, event, line, new_id
from tests.support.clickhouse_process import ClickHouse, serving
from tests.support.clickhouse_writes import over_http, stored
from tests.support.ward import Ward
from tracker.events import Batch
from tracker.sinks.base import Sink
from tracker.sinks.registry import make_sink

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with serving(tmp_path_factory.mktemp("clickhouse") / "data") as running:
        yield running


@pytest.fixture
def database(server: ClickHouse) -> Iterator[str]:
    """A name of the test's own; the server is well afterwards."""
    yield f"test_{new_id().replace('-', '')}"
    server.wrong()
    if not server.is_alive():
        server.kill()
        server.start()


@dataclass
class Noting:
    """A sink that notes what it was given and took, in order."""

    inner: Sink
    taken: list[Batch] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def write(self, batch: Batch) -> None:
        await self.inner.write(batch)
        self.taken.append(batch)

    def lines(self, table: str) -> list[bytes]:
        """Every row it took, in that order."""
        return [row for batch in self.taken if batch.table == table for row in batch.data.splitlines()]


def ward_of(server: ClickHouse, database: str, folder: Path, **changes: Any) -> tuple[Ward, Noting]:
    noting = Noting(make_sink(over_http(folder, server.port, database=database, **changes)))
    return Ward(noting), noting


def events(count: int) -> list[bytes]:
    return [line(event(ename="kept")) for _ in range(count)]


def logs(count: int) -> list[bytes]:
    return [line({"id": new_id(), "created_at": CREATED}) for _ in range(count)]


def eids(lines: Sequence[bytes]) -> list[str]:
    return sorted(row[8:44].decode() for row in lines)


async def test_an_outage_is_waited_out_and_all_of_it_delivered_in_order(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    ward, sink = ward_of(server, database, tmp_path)
    async with ward:
        early = events(100)
        await ward.add(early)
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        server.kill()
        late = events(5000)
        for at in range(0, len(late), 50):
            await ward.add(late[at : at + 50])
            await ward.add(logs(5), "logs")
        await ward.until_the_healthy_have([*early, *late], "events")
        await ward.until(lambda: ward.counted("breaker_opened") > 0, PATIENCE_SECONDS)
        server.start()
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        assert sink.lines("events") == [*early, *late]
        assert len(sink.lines("logs")) == 500
        assert stored(server, database) == eids([*early, *late])
        assert await ward.dead() == []
        assert ward.delivery.snapshot().breaker == "closed"
        assert await ward.is_conserved()


@pytest.mark.parametrize("code", [252, 241, 202, 242])
async def test_a_server_without_room_for_one_table_holds_up_that_table_alone(
    server: ClickHouse, database: str, tmp_path: Path, code: int
) -> None:
    ward, _ = ward_of(server, database, tmp_path)
    async with ward:
        server.wrong({"does": "complain", "code": code, "table": "events"})
        rows = events(200)
        await ward.add(rows)
        await ward.until(lambda: ward.counted("batches", outcome="retried") >= 1, PATIENCE_SECONDS)
        await ward.add(logs(100), "logs")
        await ward.until(lambda: not ward.delivery.owes("logs"), PATIENCE_SECONDS)
        assert ward.delivery.owes("events")
        assert ward.held() is None
        assert ward.counted("breaker_opened") == 0
        server.wrong()
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        assert stored(server, database) == eids(rows)
        assert await ward.dead() == []
        assert await ward.is_conserved()


@pytest.mark.parametrize("code", [516, 164, 81, 236, 999])
async def test_a_server_that_lets_nobody_in_or_goes_away_opens_the_breaker_and_loses_nothing(
    server: ClickHouse, database: str, tmp_path: Path, code: int
) -> None:
    ward, _ = ward_of(server, database, tmp_path)
    async with ward:
        server.wrong({"does": "complain", "code": code, "of": "any"})
        rows = events(200)
        await ward.add(rows)
        await ward.until(lambda: ward.counted("breaker_opened") > 0, PATIENCE_SECONDS)
        await ward.until_the_healthy_have(rows, "events")
        server.wrong()
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        assert stored(server, database) == eids(rows)
        assert await ward.dead() == []


async def test_a_server_killed_around_every_batch_has_each_row_once(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    ward, _ = ward_of(server, database, tmp_path)
    sent = list[bytes]()
    async with ward:
        for does in ("die", "die-after", "close-after", "half", "complain-after", "hang-after"):
            server.wrong({"does": does, "code": 159, "times": 1, "table": "events"})
            rows = events(300)
            sent += rows
            await ward.add(rows)
            await ward.until(lambda does=does: f"{does} events" in server.misbehaved, PATIENCE_SECONDS)  # type: ignore[misc]  # mypy infers no type for a lambda's defaults
            if does.startswith("die"):
                server.kill()
                server.wrong()
                server.start()
            await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        assert stored(server, database) == eids(sent)
        assert await ward.dead() == []


def test_kills_of_the_store_itself_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    report = Campaign(tmp_path, 7, store="clickhouse-http", load_seconds=0.3).run(3, (STORE_DIES,) * 3)
    assert report.verdict.is_clean, report
    assert report.verdict.acknowledged > 300, report
