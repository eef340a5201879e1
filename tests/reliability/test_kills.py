"""kill -9 under load, at random moments and at every named point of a batch's life."""

import random
from pathlib import Path

import pytest

from tests.reliability.campaign import RANDOM, STORE_DIES, Campaign
from tests.reliability.stores import STORES
from tests.support.sabotage import CRASH_POINTS

SHARES = {"duckdb": 34, "clickhouse-embedded": 33, "clickhouse-http": 33}
"""Of the hundred kills."""


@pytest.mark.parametrize(
    ("store", "point"),
    [
        ("duckdb", "recovery-resent"),  # met after a kill at a point of delivery
        ("clickhouse-embedded", "written-not-acknowledged"),
        ("clickhouse-http", STORE_DIES),
    ],
)
def test_kills_under_load_lose_and_double_nothing(tmp_path: Path, store: str, point: str) -> None:
    report = Campaign(tmp_path, random.getrandbits(32), store=store, load_seconds=0.3).run(1, [point])
    assert report.verdict.is_clean, report
    assert report.verdict.acknowledged > 50, f"the load never got through, so nothing was shown: {report}"
    assert report.questions > 1, report


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
