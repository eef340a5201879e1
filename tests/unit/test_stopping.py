"""How the time of a stop is shared out."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.stopping import Budget, Stopping, within


@given(st.floats(0, 3600))
def test_every_part_has_its_turn_and_the_process_ends_before_the_time_is_up(grace: float) -> None:
    budget = Budget.of(grace)
    assert 0 <= budget.requests <= budget.delivery <= budget.stores <= budget.spool <= budget.process <= grace


def test_a_long_grace_is_spent_on_delivery_and_not_on_closing() -> None:
    budget = Budget.of(60)
    assert budget.delivery == 58.5
    assert budget.process > 59


async def test_what_is_late_is_cancelled_named_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    was_cancelled = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            await asyncio.sleep(0.05)

    stopping = Stopping(10, asyncio.get_running_loop().time)
    await stopping.part("quick", 1, asyncio.sleep(0))
    await stopping.part("late", 0.01, stubborn(), asyncio.sleep(0))
    assert stopping.late == ["late"]
    assert "late" in [getattr(record, "fields", {}).get("part") for record in caplog.records]
    async with asyncio.timeout(5):
        await was_cancelled.wait()
    await asyncio.sleep(0.1)


async def test_an_error_is_logged_and_keeps_nothing_else_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = asyncio.Event()

    async def fail() -> None:
        raise RuntimeError("nobody expects this")

    async def end() -> None:
        await asyncio.sleep(0)
        ended.set()

    with caplog.at_level(logging.ERROR):
        assert await within(5, fail(), end())
    assert ended.is_set()
    assert caplog.records[0].exc_info is not None


def test_time_that_has_passed_is_not_given_again() -> None:
    now = [100.0]
    stopping = Stopping(5, lambda: now[0])
    now[0] += 1.5
    assert stopping.left(stopping.budget.requests) == pytest.approx(0.5)
    now[0] += 10
    assert stopping.left(stopping.budget.process) == 0.0
