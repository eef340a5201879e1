"""Three deliveries of each batch to ClickHouse are one set of rows, in every table and view."""

import json
import random
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_side_by_side import rows_of
from tests.support.batches import batch
from tests.support.clickhouse_process import KINDS, ClickHouse, serving
from tests.support.clickhouse_writes import opened, over_http
from tracker.events import Batch
from tracker.sinks.base import Sink
from tracker.sinks.registry import make_sink
from tracker.tables import CATALOGUE

ROWS = 40
"""Of each table, over several months."""
WINDOW = "non_replicated_deduplication_window"


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with serving(tmp_path_factory.mktemp("clickhouse") / "data", request.param) as running:
        yield running


@pytest.fixture(scope="module")
def sent() -> list[Batch]:
    """A batch for each table, every column of every row set."""
    chance, lines = random.Random(3), partial(map, lambda row: json.dumps(row).encode())
    return [batch([*lines(rows_of(table, chance, ROWS))], table.name) for table in CATALOGUE.values()]


def sink_of(server: ClickHouse, database: str, folder: Path) -> AbstractAsyncContextManager[Sink]:
    """Nothing is synced, which would be most of the time."""
    return opened(make_sink(replace(over_http(folder, server.port, database=database), durability="memory")))


def everything(server: ClickHouse, database: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of every table, deduplicated, and of every view as it is, in order."""
    asked = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name <> 'schema_migrations'"
    )
    question = "SELECT * FROM {} {} ORDER BY ALL"
    names = [row["name"] for row in server.ask(asked, database)]
    return {
        name: server.ask(question.format(name, "FINAL" if name in CATALOGUE else ""), database)
        for name in names
    }


def lying_rows(server: ClickHouse, database: str) -> int:
    """As long as nothing is merged."""
    question = "SELECT count() AS n FROM {}"
    return sum(int(server.ask(question.format(name), database)[0]["n"]) for name in CATALOGUE)


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(0, id="tokens are forgotten", marks=pytest.mark.long),
        pytest.param(1000, id="tokens are remembered", marks=pytest.mark.long),
    ],
)
async def test_three_deliveries_of_each_batch_are_one_set_of_rows_in_every_table_and_view(
    server: ClickHouse, sent: list[Batch], tmp_path: Path, window: int
) -> None:
    once, thrice = f"once_{window}", f"thrice_{window}"
    async with sink_of(server, once, tmp_path) as sink:
        for one in sent:
            await sink.write(one)
    async with sink_of(server, thrice, tmp_path) as sink:
        for name in CATALOGUE:
            server.ask(f"SYSTEM STOP MERGES {thrice}.{name}")
            server.ask(f"ALTER TABLE {thrice}.{name} MODIFY SETTING {WINDOW} = {window}")
        for one in sent:
            for is_repeat in (False, True, True):
                await sink.write(replace(one, is_repeat=is_repeat))
    delivered, lying = sum(one.rows for one in sent), lying_rows(server, thrice)
    assert lying <= delivered if window else 2 * delivered < lying <= 3 * delivered
    seen = everything(server, thrice)
    assert seen == everything(server, once)
    assert set(CATALOGUE) < set(seen), "there are views as well"
    assert {name for name, rows in seen.items() if not rows} <= {"events_recent"}
