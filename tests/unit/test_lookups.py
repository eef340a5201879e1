"""What a server's lookups do while its store is still being opened."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import config_of
from tracker import lookups
from tracker.errors import QueryError
from tracker.lookups import AtStart
from tracker.settings import asked_store


class Opening:
    """A store that answers from its third question on, or that ended again."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers_from = 3

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        self.asked += 1
        if self.asked < self.answers_from:
            raise QueryError("not open")
        return [{"asked": self.asked}]


async def test_whoever_asks_while_a_store_is_opened_waits_for_it() -> None:
    store = Opening()
    assert await AtStart(store).find("redirects", {}) == [{"asked": 3}]


async def test_a_store_that_has_answered_is_not_waited_for_any_more() -> None:
    store = Opening()
    at_start = AtStart(store)
    await at_start.find("redirects", {})
    store.answers_from = 1000
    with pytest.raises(QueryError):
        await at_start.find("redirects", {})
    assert store.asked == 4


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "START_SECONDS", 0.2)
    store = Opening()
    store.answers_from = 1000
    async with asyncio.timeout(2):
        with pytest.raises(QueryError):
            await AtStart(store).find("redirects", {})
    assert store.asked > 2


@pytest.mark.parametrize(
    ("api", "asked"),
    [
        (None, "first"),
        ({"Service": "duckdb", "Name": "second"}, "second"),
        ({"Service": "clickhouse"}, "third"),
        ({"Service": "duckdb"}, "first"),
        ({"Service": "clickhouse_"}, "first"),
        ({"Service": "cassandra"}, "first"),
    ],
    ids=["none", "name", "service", "first of it", "off", "unknown"],
)
def test_the_store_that_is_asked_is_the_one_that_api_names(
    tmp_path: Path, api: dict[str, Any] | None, asked: str
) -> None:
    stores = [
        {"Service": "duckdb", "Name": "first", "Context": "a.duckdb"},
        {"Service": "duckdb", "Name": "second", "Context": "b.duckdb"},
        {"Service": "clickhouse", "Name": "third", "Hosts": ["db:8123"]},
    ]
    store = asked_store(config_of(tmp_path, {"Notify": stores, **({"API": api} if api else {})}))
    assert store is not None
    assert store.name == asked


def test_without_a_store_none_is_asked(tmp_path: Path) -> None:
    assert asked_store(config_of(tmp_path, {"Notify": []})) is None
