import asyncio
import math
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.scripted_sink import (
    Behaviour,
    Depends,
    Raise,
    RejectBatch,
    RejectPositions,
    RejectRows,
    ScriptedSink,
    Take,
    lines_of,
)
from tests.unit.batching.faulty_queue import FULL
from tests.unit.batching.rig import QUICK, Rig, numbered
from tracker.batching.strategies import BatchSettings
from tracker.events import Batch

WIDE = BatchSettings("immediate")
PROBING = replace(QUICK, lane=replace(QUICK.lane, probe_seconds=0.02))


def poisoned(count: int, bad: set[int]) -> list[bytes]:
    return [b'{"n": %d, "bad": %d}' % (n, n in bad) for n in range(count)]


def is_bad(line: bytes) -> bool:
    return line.endswith(b'"bad": 1}')


async def deliver_and_judge(rig: Rig, lines: list[bytes]) -> None:
    """Exactly the bad rows are kept aside, each with a reason, and all others took effect in order."""
    async with rig:
        await rig.add(lines)
        await rig.until_empty()
        dead = await rig.dead()
        assert rig.sink.lines("events") == [line for line in lines if not is_bad(line)]
        assert [letter.line for letter in dead] == [line for line in lines if is_bad(line)]
        assert all(letter.reason for letter in dead)
        assert rig.table().dead == len(dead) == rig.counted("dead_letters", table="events")
        (total,) = await rig.batcher.totals()
        assert (total.waiting, total.difference) == (0, 0)


@pytest.mark.parametrize("behaviour", [RejectRows(is_bad), RejectBatch(is_bad)])
@pytest.mark.parametrize("bad", [{0}, {9_999}, {4_999, 5_000}, {7, 8, 9, 5_123, 9_998}])
async def test_of_ten_thousand_rows_exactly_the_poisoned_ones_are_kept_aside(
    behaviour: RejectRows | RejectBatch, bad: set[int]
) -> None:
    sink, lines = ScriptedSink(), poisoned(10_000, bad)
    sink.always["events"] = behaviour
    await deliver_and_judge(Rig(sink), lines)
    assert len(sink.writes) <= 2 * len(bad) * math.log2(10_000) + 1


async def test_named_rows_cost_one_more_write() -> None:
    sink, lines = ScriptedSink(), poisoned(10_000, set(range(0, 10_000, 25)))
    sink.always["events"] = RejectRows(is_bad)
    await deliver_and_judge(Rig(sink), lines)
    assert len(sink.writes) == 2


def writes_needed(rows: int, bad: set[int], first: int = 0, is_known: bool = False) -> int:
    """Writes that halving costs, as the lane does it: a half is not sent whole when the other was clean."""
    has_bad = any(first <= one < first + rows for one in bad)
    own = 0 if is_known and rows > 1 else 1
    if not has_bad or rows == 1:
        return own
    half = rows // 2
    left_bad = any(first <= one < first + half for one in bad)
    return own + writes_needed(half, bad, first) + writes_needed(rows - half, bad, first + half, not left_bad)


@pytest.mark.parametrize("rows", [2, 3, 5, 7, 11, 100, 127, 129, 1000, 1025])
def test_one_poison_row_anywhere_costs_at_most_two_writes_a_level(rows: int) -> None:
    for one in range(rows):
        assert writes_needed(rows, {one}) <= 2 * math.log2(rows) + 1


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 400), st.integers(0, 40), st.randoms(use_true_random=False))
async def test_any_poison_in_any_batch_is_found_within_the_bound(
    rows: int, count: int, dice: random.Random
) -> None:
    bad = set(dice.sample(range(rows), min(count, rows)))
    sink, lines = ScriptedSink(), poisoned(rows, bad)
    sink.always["events"] = RejectBatch(is_bad)
    await deliver_and_judge(Rig(sink), lines)
    assert len(sink.writes) == writes_needed(rows, bad) <= max(1, 2 * len(bad) * math.log2(rows) + 1)


async def test_a_rejected_batch_is_kept_aside_and_the_next_one_flows() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectBatch(is_bad)
    async with Rig(sink) as rig:
        await rig.add(poisoned(1, {0}))
        await rig.until_empty()
        await rig.add(numbered(5))
        await rig.until_empty()
        assert sink.lines("events") == numbered(5)
        assert len(await rig.dead()) == 1


async def test_a_batch_that_was_split_is_never_sent_again() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(RejectBatch(lambda _: True))
    async with Rig(sink) as rig:
        rig.queue.failures["halve"] = [FULL, FULL]
        await rig.add(numbered(8))
        await rig.until_empty()
        assert [batch.rows for batch in sink.batches("events")] == [8, 4, 2, 1, 1]
        assert len({batch.id for batch in sink.batches("events")}) == len(sink.writes)
        assert not await rig.dead()


async def test_the_disk_may_refuse_the_step_after_a_rejection_and_the_rows_are_put_aside_once() -> None:
    sink, lines = ScriptedSink(), poisoned(8, {3})
    sink.always["events"] = RejectRows(is_bad)
    rig = Rig(sink)
    rig.open()
    rig.queue.failures["reject"] = [FULL] * 5
    await deliver_and_judge(rig, lines)
    assert len(sink.writes) == 2


async def test_a_table_whose_rows_are_all_rejected_holds_with_its_batch_sealed() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectRows(lambda _: True)
    async with Rig(sink) as rig:
        await rig.add(numbered(10_000))
        await rig.add(numbered(5), "logs")
        await rig.until(lambda: rig.table().held)
        await rig.until_empty("logs")
        assert not await rig.dead()
        assert rig.table().sealed_rows == 10_000
        assert rig.table().held == "10000 rows in a row were rejected"
        assert len(sink.batches("events")) == 1


async def test_a_table_whose_batches_are_all_rejected_holds_before_it_has_put_many_aside() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectBatch(lambda _: True)
    async with Rig(sink) as rig:
        await rig.add(numbered(1_000))
        await rig.until(lambda: rig.table().held)
        assert len(await rig.dead()) == 99


async def test_a_hold_ends_by_itself_when_a_probe_succeeds() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectRows(lambda _: True)
    async with Rig(sink, settings=PROBING) as rig:
        await rig.add(numbered(1_000))
        await sink.until(lambda: len(sink.writes) > 3)
        assert rig.table().held
        sink.always.clear()
        await rig.until_empty()
        assert rig.table().held is None
        assert sink.lines("events") == numbered(1_000)
        assert not await rig.dead()
        assert len({batch.id for batch in sink.batches("events")}) == 1


async def test_a_probe_that_is_answered_as_before_puts_nothing_aside_and_sends_the_same_bytes() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectRows(is_bad)
    async with Rig(sink, settings=PROBING) as rig:
        await rig.add(poisoned(1_000, set(range(0, 1_000, 9))))
        await sink.until(lambda: len(sink.writes) >= 5)
        assert rig.table().held == "112 of the last 1000 rows were rejected"
        assert not await rig.dead()
        assert len({(batch.id, batch.data) for batch in sink.batches("events")}) == 1


async def test_a_probe_that_takes_long_is_made_seldom() -> None:
    sink, now = ScriptedSink(), [time.time()]

    def slow(batch: Batch) -> Behaviour:
        now[0] += 5.0
        return RejectRows(lambda _: True)

    sink.always["events"] = Depends(slow)
    lane = replace(QUICK.lane, probe_seconds=0.001, probe_share=5.0 / 3600)
    async with Rig(sink, settings=replace(QUICK, lane=lane), clock=lambda: now[0]) as rig:
        await rig.add(numbered(1_000))
        await rig.until(lambda: rig.table().held)
        await asyncio.sleep(0.1)
        assert len(sink.writes) == 1


async def test_a_released_table_is_not_blamed_again_after_a_restart() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectBatch(is_bad)
    rig = Rig(sink)
    rig.open()
    await rig.add(poisoned(200, set(range(200))))
    await rig.delivery.start()
    await rig.until(lambda: rig.table().held)
    sink.always.clear()
    assert rig.delivery.release("events")
    await rig.until_empty()
    await rig.close()
    sink.always["events"] = RejectRows(is_bad)
    async with rig:
        await rig.add(poisoned(50, set(range(50))))
        await rig.until_empty()
        assert len(await rig.dead()) == 99 + 50
        assert rig.table().held is None


async def test_a_person_may_release_a_table_and_what_is_rejected_at_hand_is_put_aside() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectBatch(lambda line: not line.startswith(b'{"n": 1'))
    async with Rig(sink) as rig:
        assert not rig.delivery.release("events")
        await rig.add(numbered(500))
        await rig.until(lambda: rig.table().held)
        assert rig.delivery.release("events")
        await rig.until_empty()
        good = [line for line in numbered(500) if line.startswith(b'{"n": 1')]
        assert sink.lines("events") == good
        assert len(await rig.dead()) == 500 - len(good)
        await rig.add(numbered(500, 20_000))
        await rig.until(lambda: rig.table().held)


async def test_drain_does_not_wait_for_a_table_that_holds() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectRows(lambda _: True)
    async with Rig(sink) as rig:
        await rig.add(numbered(1_000))
        await rig.until(lambda: rig.table().held)
        await rig.add(numbered(10), "logs")
        assert not await rig.delivery.drain(3600)
        assert rig.sink.lines("logs") == numbered(10)


async def test_something_unexpected_is_tried_again() -> None:
    sink = ScriptedSink()
    sink.next["events"].extend([Raise(KeyError("x")), Raise(ValueError("y")), Take()])
    async with Rig(sink) as rig:
        await rig.add(numbered(5))
        await rig.until_empty()
        assert sink.lines("events") == numbered(5)
        assert rig.counted("batches", table="events", outcome="failed") == 2
        assert rig.table().held is None


async def test_five_identical_bugs_hold_the_table_and_no_other_and_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = ScriptedSink()
    sink.always["events"] = Raise(ZeroDivisionError("secret"))
    async with Rig(sink) as rig:
        await rig.add(numbered(5))
        await rig.until(lambda: rig.table().held)
        await rig.add(numbered(5), "logs")
        await rig.until_empty("logs")
        assert len(sink.batches("events")) == 5
        assert "ZeroDivisionError" in (rig.table().held or "")
        assert rig.delivery.snapshot().breaker == "closed"
        assert [record.message for record in caplog.records if record.exc_info] == [
            "unexpected failure in delivery"
        ]
        sink.always.clear()
        assert rig.delivery.release("events")
        await rig.until_empty()
        assert sink.lines("events") == numbered(5)


@pytest.mark.parametrize("positions", [(), (5,), (-1,), (0, 99)])
async def test_a_sink_that_names_rows_that_do_not_exist_has_nothing_put_aside(
    positions: tuple[int, ...],
) -> None:
    sink = ScriptedSink()
    sink.next["events"].append(RejectPositions(positions))
    async with Rig(sink) as rig:
        await rig.add(numbered(5))
        await rig.until_empty()
        assert not await rig.dead()
        assert [len(lines_of(batch)) for batch in sink.batches("events")] == [5, 5]
