"""A process that ends between any two steps of a batch's life loses nothing and doubles nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import pytest

from tests.support.scripted_sink import (
    Behaviour,
    Depends,
    RejectBatch,
    RejectPositions,
    RejectRows,
    ScriptedSink,
    Take,
    lines_of,
)
from tests.unit.batching.rig import QUICK, Rig, numbered
from tracker.batching import batch_book
from tracker.batching.batch_book import BatchBook
from tracker.batching.delivery import DeliverySettings
from tracker.batching.lane import LaneSettings
from tracker.batching.rejections import HoldLimits
from tracker.events import Batch

LINES = numbered(10)
BAD = {LINES[3], LINES[4], LINES[9]}


def is_bad(line: bytes) -> bool:
    return line in BAD


def first_bad_row(batch: Batch) -> Behaviour:
    """A sink that stops reading at the first bad row: each child is rejected in turn."""
    bad = [at for at, line in enumerate(lines_of(batch)) if is_bad(line)]
    return RejectPositions((bad[0],)) if bad else Take()


def whole_then_rows(batch: Batch) -> Behaviour:
    """Large batches are refused whole, small ones by row."""
    return RejectBatch(is_bad) if batch.rows > 3 else RejectRows(is_bad)


@dataclass(frozen=True)
class Scenario:
    """How a sink rejects, and how many steps of the queue that takes at least."""

    script: Callable[[ScriptedSink], Behaviour]
    steps: int
    settings: DeliverySettings = QUICK
    is_released: bool = False
    """A person releases the table whenever it holds."""

    def rig(self) -> Rig:
        sink = ScriptedSink()
        sink.always["events"] = self.script(sink)
        return Rig(sink, settings=self.settings)


def holding(at_least: int, probe_seconds: float) -> DeliverySettings:
    """Holds early and probes often."""
    lane = LaneSettings(QUICK.lane.retry, HoldLimits(at_least=at_least), probe_seconds=probe_seconds)
    return replace(QUICK, lane=lane)


def broken_for_a_while(sink: ScriptedSink) -> Behaviour:
    """Everything is rejected at first; then the schema is mended and only the bad rows are."""
    return Depends(lambda _: RejectRows((lambda _: True) if len(sink.writes) <= 4 else is_bad))


SCENARIOS = {
    "rows": Scenario(lambda _: RejectRows(is_bad), 6),
    "halves": Scenario(lambda _: RejectBatch(is_bad), 20),
    "child after child": Scenario(lambda _: Depends(first_bad_row), 10),
    "halves, then rows": Scenario(lambda _: Depends(whole_then_rows), 12),
    "hold, released": Scenario(lambda _: RejectRows(is_bad), 7, holding(2, 3600.0), is_released=True),
    "hold in halves, released": Scenario(
        lambda _: RejectBatch(is_bad), 20, holding(2, 3600.0), is_released=True
    ),
    "hold, probed": Scenario(broken_for_a_while, 9, holding(4, 0.002)),
}


async def run(rig: Rig, scenario: Scenario) -> bool:
    """Deliver until the queue stops, and end there; False when all was delivered before."""
    start = asyncio.create_task(rig.delivery.start())

    def is_over() -> bool:
        if scenario.is_released:
            rig.delivery.release("events")
        return rig.queue.stopped.is_set() or (start.done() and not rig.delivery.owes())

    await rig.until(is_over)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await rig.close()
    return rig.queue.stopped.is_set()


async def crash(rig: Rig, scenario: Scenario, side: str, number: int, *, is_first: bool = True) -> bool:
    """Deliver until the queue's step of this number, then end as if killed; False when it never came."""
    rig.open()
    setattr(rig.queue, f"stops_{side}", number)
    if is_first:
        await rig.add(LINES)
    return await run(rig, scenario)


async def recover_and_judge(rig: Rig, scenario: Scenario) -> None:
    rig.open()
    await run(rig, scenario)
    async with rig:
        assert sorted(rig.sink.lines("events")) == sorted(line for line in LINES if not is_bad(line))
        assert sorted(letter.line or b"" for letter in await rig.dead()) == sorted(BAD)
        (total,) = await rig.batcher.totals()
        assert (total.accepted, total.waiting, total.difference) == (10, 0, 0)


async def kills(scenario: Scenario, side: str, stride: int = 1) -> int:
    """Kill before or after every (or every so many) step of the whole; the number of the last that hit."""
    for number in range(1, 1_000, stride):
        rig = scenario.rig()
        is_hit = await crash(rig, scenario, side, number)
        await recover_and_judge(rig, scenario)
        if not is_hit:
            break
    return number - stride


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_kill_between_two_steps_of_a_split_loses_and_doubles_nothing(name: str) -> None:
    assert await kills(SCENARIOS[name], "after", stride=3) >= SCENARIOS[name].steps - 3


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_kill_between_any_two_steps_of_a_split_loses_and_doubles_nothing(
    name: str, side: str
) -> None:
    assert await kills(SCENARIOS[name], side) >= SCENARIOS[name].steps


async def second_kills(scenario: Scenario, first: int) -> int:
    """Kill after step `first`, and again after every third step of the recovery; how many of these hit."""
    hits = 0
    for second in range(1 + first % 3, 1_000, 3):
        rig = scenario.rig()
        if not await crash(rig, scenario, "after", first):
            await recover_and_judge(rig, scenario)
            break
        is_hit = await crash(rig, scenario, "after", second, is_first=False)
        await recover_and_judge(rig, scenario)
        if not is_hit:
            break
        hits += 1
    return hits


async def test_a_second_kill_during_recovery_loses_and_doubles_nothing() -> None:
    assert await second_kills(SCENARIOS["halves, then rows"], 5) >= 3


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
async def test_two_kills_lose_and_double_nothing(name: str) -> None:
    hits = [await second_kills(SCENARIOS[name], first) for first in range(1, SCENARIOS[name].steps)]
    assert all(hits[:-3])
    print(f"{name}: {sum(hits)} pairs of kills")


@pytest.mark.parametrize(
    "name", ["rows", *(pytest.param(name, marks=pytest.mark.long) for name in ("halves", "hold, probed"))]
)
async def test_a_parent_that_stays_beside_its_children_is_noticed(name: str) -> None:
    split = BatchBook._replace

    def keep_the_parent(*args: Any) -> Any:
        with mock.patch.object(batch_book, "forget", lambda *_: True):
            return split(*args)

    scenario, complaints, is_hit, number = SCENARIOS[name], 0, True, 0
    with mock.patch.object(BatchBook, "_replace", keep_the_parent):
        while is_hit and not complaints:
            number += 1
            rig = scenario.rig()
            is_hit = await crash(rig, scenario, "after", number)
            try:
                await recover_and_judge(rig, scenario)
            except (AssertionError, TimeoutError):  # rows doubled, or rejected twice, which holds the table
                complaints += 1
    assert complaints


async def test_a_batch_that_took_effect_and_was_not_finished_goes_again_with_the_same_bytes() -> None:
    rig = Rig()
    rig.open()
    rig.queue.stops_before_name = "finish"
    await rig.add(LINES)
    assert await run(rig, SCENARIOS["rows"])
    (sent,) = rig.sink.batches("events")
    async with rig:
        await rig.until_empty()
        first, again = rig.sink.batches("events")
        assert (again.id, again.data, again.is_repeat) == (sent.id, sent.data, True)
        assert first == sent
        assert rig.sink.lines("events") == LINES


async def test_a_process_that_crashes_again_and_again_does_not_drain_the_spool_into_the_dead_letters() -> (
    None
):
    sink = ScriptedSink()
    sink.always["events"] = RejectBatch(lambda _: True)
    rig = Rig(sink)
    rig.open()
    await rig.add(numbered(1_000))
    await rig.close()
    for _ in range(6):
        rig.open()
        await rig.delivery.start()
        await rig.until(lambda: rig.table().held)
        assert len(await rig.dead()) == 99
        await rig.close()
    async with rig:
        await rig.until(lambda: rig.table().held)
        assert rig.delivery.release("events")
        await rig.until(lambda: rig.table().dead > 0)
    assert not sink.effects
