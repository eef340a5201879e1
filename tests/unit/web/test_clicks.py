"""When a click may be worked out after its answer: only if its event is certain to be kept as it was sent."""

from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.support.web import RecordingSpooler
from tracker.metrics import Metrics
from tracker.pipeline import Forgotten, Pipeline, PipelineSettings, Protection
from tracker.steps.protect import Guard, Rule
from tracker.steps.residency import Home, Residency

NOBODY_REFUSES = Protection(Guard("anonymise", "drop"), lambda now: b"key")
CONSENT = Protection(Guard(rules=(Rule(("DE",), "opt-in"),)), lambda now: b"key")
AT_HOME = Protection(Guard(), lambda now: b"key", None, Residency([(("DE",), Home(frozenset({"a"})))]))


class SomebodyWas:
    """Somebody was forgotten lately."""

    is_active = True

    def withholds(self, row: Mapping[str, Any], now: float) -> bool:
        return "vid" in row


def pipeline(protection: Protection | None, forgotten: Forgotten | None = None) -> Pipeline:
    metrics = Metrics(CollectorRegistry(), "test")
    return Pipeline(
        RecordingSpooler(), PipelineSettings(), metrics, protection=protection, forgotten=forgotten
    )


@pytest.mark.parametrize(
    ("protection", "signals", "keeps"),
    [
        (None, (True, True), True),
        (NOBODY_REFUSES, (False, False), True),
        (NOBODY_REFUSES, (True, False), False),
        (NOBODY_REFUSES, (False, True), False),
        (CONSENT, (False, False), False),
        (AT_HOME, (False, False), False),
    ],
    ids=["nothing is asked", "no signal", "gpc", "dnt", "consent", "residency"],
)
def test_only_what_is_kept_wherever_it_comes_from_is_certain(
    protection: Protection | None, signals: tuple[bool, bool], keeps: bool
) -> None:
    assert pipeline(protection).keeps({"vid": "x"}, gpc=signals[0], dnt=signals[1]) is keeps


def test_who_may_have_been_forgotten_is_not_certain() -> None:
    forgetting = pipeline(None, SomebodyWas())
    assert forgetting.keeps({}, gpc=False, dnt=False)
    assert not forgetting.keeps({"vid": "x"}, gpc=False, dnt=False)
