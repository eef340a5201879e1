"""kill -9 under load, at random moments and at every named point of a batch's life."""

import random
from pathlib import Path

import pytest

from tests.reliability.campaign import RANDOM, RECOVERY, Campaign
from tests.support.sabotage import CRASH_POINTS


def test_kills_at_random_moments_and_at_points_lose_and_double_nothing(tmp_path: Path) -> None:
    points = (RANDOM, "written-not-acknowledged", "halved", "recovery-resent", RANDOM)
    report = Campaign(tmp_path, random.getrandbits(32), load_seconds=0.3).run(5, points)
    assert report.verdict.is_clean, report
    assert report.verdict.acknowledged > 500, f"the load never got through, so nothing was shown: {report}"
    assert report.questions > 10, report


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_campaign_of_a_hundred_kills_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = Campaign(tmp_path, random.getrandbits(32)).run(100)
    print(report)
    assert report.verdict.is_clean, report
    assert report.kills.total() >= 100
    assert all(report.kills[point] >= 1 for point in (RANDOM, *CRASH_POINTS)), report
    assert all(report.kills[point] >= 2 for point in RECOVERY), report
    assert report.verdict.acknowledged > 20_000, report
