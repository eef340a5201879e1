"""kill -9 under load, at random moments and at every named point of a batch's life."""

import random
from pathlib import Path

import pytest

from tests.reliability.campaign import RANDOM, STORE_DIES, Campaign
from tests.reliability.records import QUESTIONS
from tests.reliability.stores import STORES
from tests.support.sabotage import CRASH_POINTS

SHARES = {"duckdb": 34, "clickhouse-embedded": 33, "clickhouse-http": 33}
"""Of the hundred kills."""
LINKS = {"redirects", "redirect_history"}
"""Links are made only while the store can be asked what is there already, which takes ClickHouse a while."""


@pytest.mark.parametrize(
    ("store", "point"),
    [
        ("duckdb", "written-not-acknowledged"),
        pytest.param("clickhouse-embedded", "written-not-acknowledged", marks=pytest.mark.long),
        pytest.param("clickhouse-http", STORE_DIES, marks=pytest.mark.long),
    ],
)
def test_kills_under_load_lose_and_double_nothing(tmp_path: Path, store: str, point: str) -> None:
    report = Campaign(tmp_path, random.getrandbits(32), store=store, load_seconds=0.3).run(1, [point])
    assert report.verdict.is_clean, report
    assert report.verdict.acknowledged > 50, f"the load never got through, so nothing was shown: {report}"
    assert report.questions > 1, report
    assert {"events", *QUESTIONS} - LINKS <= report.verdict.acknowledged_in.keys(), report
    assert store != "duckdb" or report.verdict.acknowledged_in.keys() >= LINKS, report


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("store", sorted(STORES))
def test_a_campaign_of_a_hundred_kills_over_all_stores_loses_and_doubles_nothing(
    tmp_path: Path, store: str
) -> None:
    report = Campaign(tmp_path, random.getrandbits(32), store=store).run(SHARES[store])
    print(store, report)
    assert report.verdict.is_clean, report
    assert report.kills.total() >= SHARES[store]
    assert all(report.kills[point] >= 1 for point in (RANDOM, *CRASH_POINTS)), report
    assert store != "clickhouse-http" or report.kills[STORE_DIES] >= 5, report
    assert report.verdict.acknowledged > 5_000, report
    assert min(report.verdict.acknowledged_in[table] for table in QUESTIONS) >= 10, report
