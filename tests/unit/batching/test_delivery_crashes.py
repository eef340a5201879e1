"""A process that ends between any two steps of a batch's life loses nothing and doubles nothing."""

import asyncio

import pytest

from tests.support.scripted_sink import RejectBatch, RejectRows, ScriptedSink
from tests.unit.batching.rig import Rig, numbered

LINES = numbered(10)
BAD = {LINES[3], LINES[4], LINES[9]}


def is_bad(line: bytes) -> bool:
    return line in BAD


async def run_until_stopped(rig: Rig) -> bool:
    """Deliver until the queue stops, and end there; False when all was delivered before."""
    start = asyncio.create_task(rig.delivery.start())
    await rig.until(lambda: rig.queue.stopped.is_set() or (start.done() and not rig.delivery.owes()))
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await rig.close()
    return rig.queue.stopped.is_set()


async def crash(rig: Rig, *, before: int = 0, after: int = 0) -> bool:
    """Deliver until the queue's step of this number, then end as if killed; False when it never came."""
    rig.open()
    rig.queue.stops_before, rig.queue.stops_after = before, after
    await rig.add(LINES)
    return await run_until_stopped(rig)


async def recover_and_judge(rig: Rig) -> None:
    async with rig:
        await rig.until_empty()
        assert sorted(rig.sink.lines("events")) == sorted(line for line in LINES if not is_bad(line))
        assert sorted(letter.line or b"" for letter in await rig.dead()) == sorted(BAD)
        (total,) = await rig.batcher.totals()
        assert (total.accepted, total.waiting, total.difference) == (10, 0, 0)


@pytest.mark.parametrize("behaviour", [RejectRows(is_bad), RejectBatch(is_bad)])
@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_kill_between_any_two_steps_of_a_split_loses_and_doubles_nothing(
    behaviour: RejectRows | RejectBatch, side: str
) -> None:
    number, hits = 0, 0
    while number == hits:
        number += 1
        sink = ScriptedSink()
        sink.always["events"] = behaviour
        rig = Rig(sink)
        hits += await crash(rig, **{side: number})
        await recover_and_judge(rig)
    assert hits >= (6 if isinstance(behaviour, RejectRows) else 20)


async def test_a_second_kill_during_recovery_loses_and_doubles_nothing() -> None:
    for second in range(1, 8):
        sink = ScriptedSink()
        sink.always["events"] = RejectBatch(is_bad)
        rig = Rig(sink)
        assert await crash(rig, after=9)
        rig.open()
        rig.queue.stops_after = second
        assert await run_until_stopped(rig)
        await recover_and_judge(rig)


async def test_a_batch_that_took_effect_and_was_not_finished_goes_again_with_the_same_bytes() -> None:
    rig = Rig()
    assert await crash(rig, before=4)
    (sent,) = rig.sink.batches("events")
    async with rig:
        await rig.until_empty()
        first, again = rig.sink.batches("events")
        assert (again.id, again.data, again.is_repeat) == (sent.id, sent.data, True)
        assert first == sent
        assert rig.sink.lines("events") == LINES
