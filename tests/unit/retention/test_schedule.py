"""When pruning happens by itself."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import TrackerError
from tracker.retention.schedule import FIRST_SECONDS, first_delay, next_delay, repeat

DAY = 86_400.0


@given(st.floats(0.001, 1e9), st.floats(0, 1))
def test_the_first_run_comes_soon_and_the_others_at_their_time(every: float, random: float) -> None:
    assert 0 < first_delay(every, random) <= min(every, FIRST_SECONDS)
    assert 0.89 * every < next_delay(every, random) < 1.11 * every


def test_two_collectors_do_not_prune_at_once() -> None:
    assert next_delay(DAY, 0.0) != next_delay(DAY, 1.0)
    assert first_delay(DAY, 0.0) != first_delay(DAY, 1.0)


@pytest.mark.parametrize("failure", [TrackerError("away"), ValueError("a bug")], ids=["known", "bug"])
async def test_a_run_that_fails_does_not_end_it(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    third = asyncio.Event()

    async def run() -> None:
        runs.append(1)
        if len(runs) == 3:
            third.set()
        raise failure

    task = asyncio.create_task(repeat(0.001, run, lambda: 0.5))
    await asyncio.wait_for(third.wait(), 5)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    is_bug = isinstance(failure, ValueError)
    assert [(record.levelname, record.exc_info is not None) for record in caplog.records[:2]] == [
        ("ERROR", True) if is_bug else ("WARNING", False)
    ] * 2
