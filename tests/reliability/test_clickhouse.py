"""Delivery to ClickHouse over HTTP while its server fails: nothing lost, doubled or put aside, in order."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.batches import CREATED, event, line, new_id
from tests.support.clickhouse_process import ClickHouse, serving
from tests.support.clickhouse_writes import emptied, over_http, stored
from tests.support.server import ROOT, write_config
from tests.support.ward import Ward
from tracker.errors import SinkUnavailable
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
    """Without rows; the server is well afterwards."""
    yield emptied(server)
    server.wrong()
    if not server.is_alive():
        server.kill()
        server.start()


@dataclass
class Noting:
    """A sink that notes what it took, in order, and how long it asked to be left alone, which here passes
    a hundred times as fast."""

    inner: Sink
    written: int = 0
    """Calls of write, however they ended."""
    taken: list[Batch] = field(default_factory=list)
    waits: list[float | None] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def write(self, batch: Batch) -> None:
        self.written += 1
        try:
            await self.inner.write(batch)
        except SinkUnavailable as error:
            self.waits.append(error.retry_after_seconds)
            if error.retry_after_seconds is not None:
                error.retry_after_seconds /= 100
            raise
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


@pytest.mark.parametrize(("code", "wait"), [(252, 10), (241, 5), (202, 1), (242, 10)])
@pytest.mark.long
async def test_a_server_without_room_for_one_table_holds_up_that_table_alone(
    server: ClickHouse, database: str, tmp_path: Path, code: int, wait: float
) -> None:
    ward, sink = ward_of(server, database, tmp_path)
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
        assert set(sink.waits) == {wait}
        server.wrong()
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        assert stored(server, database) == eids(rows)
        assert await ward.dead() == []
        assert await ward.is_conserved()


@pytest.mark.parametrize("code", [516, 164, 81, 236, 999])
@pytest.mark.long
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


@pytest.mark.parametrize(
    ("change", "difference", "mended_by"),
    [
        (
            "DROP COLUMN lat",
            "events has no column lat Float64",
            "python -m tracker schema --clickhouse single --apply",
        ),
        (
            "MODIFY COLUMN url UUID",
            "column url is UUID instead of String",
            "ALTER TABLE {database}.events MODIFY COLUMN url String",
        ),
    ],
    ids=["a column is missing", "a column has another type"],
)
@pytest.mark.long
async def test_a_changed_schema_holds_its_table_and_names_what_mends_it_while_others_go_on(
    server: ClickHouse, tmp_path: Path, change: str, difference: str, mended_by: str
) -> None:
    database = f"changed_{new_id().replace('-', '')}"
    mended_by = mended_by.format(database=database)
    ward, _ = ward_of(server, database, tmp_path)
    async with ward:
        await ward.add(logs(1), "logs")
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        server.ask(f"ALTER TABLE {database}.events {change}")
        rows = [
            line(event(lat=1.5, url=f"/{number}", vp_w="wide" if number == 7 else 7)) for number in range(200)
        ]
        await ward.add(rows)
        await ward.until(lambda: ward.held(), PATIENCE_SECONDS)
        held = str(ward.held())
        assert difference in held
        assert mended_by in held
        await ward.add(logs(100), "logs")
        await ward.until(lambda: not ward.delivery.owes("logs"), PATIENCE_SECONDS)
        await ward.until_the_healthy_have(rows, "events")
        assert await ward.dead() == [], "no row is judged before the table fits"
        await asyncio.to_thread(mend, server, database, mended_by, tmp_path)
        assert ward.delivery.release("events")
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        assert ward.held() is None
        assert [letter.line for letter in await ward.dead()] == rows[7:8]
        assert stored(server, database) == eids(rows[:7] + rows[8:])
        assert await ward.is_conserved()


def mend(server: ClickHouse, database: str, said: str, folder: Path) -> None:
    """Do what was told."""
    if said.startswith("ALTER"):
        server.ask(said)
        return
    notify = {"Service": "clickhouse", "Hosts": [f"127.0.0.1:{server.port}"], "Context": database}
    config = write_config(folder, free_port(), Notify=[notify])
    command = [sys.executable, *said.split()[1:], "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


async def test_rows_that_fit_no_column_are_put_aside_by_the_server_s_own_numbers_and_all_others_stored(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    ward, sink = ward_of(server, database, tmp_path)
    wrong: dict[int, dict[str, Any]] = {
        0: {"lat": "north"},
        555: {"created_at": "yesterday"},
        998: {"vp_w": "wide"},
        999: {"vid": 7},
    }
    rows = [line(event(**wrong.get(number, {}))) for number in range(1000)]
    async with ward:
        await ward.add(rows)
        await ward.until(lambda: not ward.delivery.owes(), PATIENCE_SECONDS)
        letters = {letter.line: letter.reason for letter in await ward.dead()}
        assert list(letters) == [rows[number] for number in wrong]
        for number, columns in wrong.items():
            assert letters[rows[number]].startswith(f"column {next(iter(columns))}: ")
        assert stored(server, database) == eids([row for row in rows if row not in letters])
        assert sink.written == 2, "once with them, once without"
        assert await ward.is_conserved()


UNKNOWN = ("die-after", "half")
"""What leaves a sink without an answer to a batch that is there."""


@pytest.mark.parametrize(
    "ways",
    [
        pytest.param(UNKNOWN, id="two ways"),
        pytest.param(
            (*UNKNOWN, "die", "close-after", "complain-after", "hang-after"),
            id="every way",
            marks=pytest.mark.long,
        ),
    ],
)
async def test_a_server_killed_around_every_batch_has_each_row_once(
    server: ClickHouse, database: str, tmp_path: Path, ways: Sequence[str]
) -> None:
    ward, _ = ward_of(server, database, tmp_path)
    sent = list[bytes]()
    async with ward:
        for does in ways:
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
