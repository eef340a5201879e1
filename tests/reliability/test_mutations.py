"""Whether the harness would notice: with a mechanism switched off it must report loss or doubling.

The same campaign with the mechanism in place is clean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.reliability.campaign import BROKEN, POISON, Campaign
from tests.reliability.judge import Verdict


@dataclass(frozen=True)
class Mutation:
    """A mechanism, what shows that it is missing, and how the judge must complain."""

    mechanism: str
    points: tuple[str, ...]
    complaint: Callable[[Verdict], tuple[str, ...]]
    batch_seconds: float = 0.05
    store: str = "duckdb"


EMBEDDED = "clickhouse-embedded"
MUTATIONS = (
    Mutation("commit-before-answer", ("before-commit",) * 3, lambda verdict: verdict.missing),
    Mutation("resend", ("written-not-acknowledged",) * 2, lambda verdict: verdict.doubled),
    Mutation("ledger", ("written-not-acknowledged",) * 2, lambda verdict: verdict.doubled),
    Mutation("keys", ("written-not-acknowledged",) * 2, lambda verdict: verdict.doubled, store=EMBEDDED),
    Mutation("split", (POISON,), lambda verdict: verdict.misplaced),
    Mutation("hold", (BROKEN,), lambda verdict: verdict.misplaced, batch_seconds=1.0),
)


@pytest.mark.long
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.mechanism)
@pytest.mark.parametrize("is_off", [False, True], ids=["in place", "switched off"])
def test_the_harness_reports_a_mechanism_that_is_missing(
    tmp_path: Path, mutation: Mutation, is_off: bool
) -> None:
    without = [mutation.mechanism] if is_off else []
    campaign = Campaign(
        tmp_path, 1, store=mutation.store, without=without, batch_seconds=mutation.batch_seconds
    )
    report = campaign.run(len(mutation.points), mutation.points)
    assert report.verdict.acknowledged > 100, report
    assert bool(mutation.complaint(report.verdict)) is is_off, report
    assert is_off or report.verdict.is_clean, report


@pytest.mark.long
def test_where_rows_have_keys_a_batch_sent_again_under_another_id_doubles_nothing(tmp_path: Path) -> None:
    points = ("written-not-acknowledged",) * 2
    report = Campaign(tmp_path, 1, store=EMBEDDED, without=["resend"]).run(len(points), points)
    assert report.verdict.is_clean, report
    assert report.verdict.acknowledged > 100, report
