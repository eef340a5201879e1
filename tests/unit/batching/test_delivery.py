import asyncio
import time

from tests.support.scripted_sink import (
    Behaviour,
    Depends,
    Hang,
    HangAfterWriting,
    Raise,
    Refuse,
    RejectRows,
    ScriptedSink,
    Take,
    lines_of,
)
from tests.unit.batching.faulty_queue import FULL
from tests.unit.batching.rig import NEVER, NOW, QUICK, Rig, numbered
from tracker.batching.breaker import BreakerSettings
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.delivery import DeliverySettings
from tracker.batching.strategies import BatchSettings
from tracker.errors import SchemaMismatch
from tracker.events import Batch


async def test_rows_arrive_in_order_and_nothing_is_left() -> None:
    async with Rig() as rig:
        for first in range(0, 100, 10):
            await rig.add(numbered(10, first))
            await asyncio.sleep(0)
        await rig.until_empty()
        assert rig.sink.lines("events") == numbered(100)
        assert rig.table().rows == 100
        assert rig.counted("batches", table="events", outcome="done") == rig.table().batches


async def test_a_batch_waits_for_its_strategy_and_goes_when_it_is_due() -> None:
    soon = BatchSettings(strategy="hybrid", max_batch_size=50, max_batch_time_seconds=0.2)
    async with Rig(batching={"events": soon, "logs": NEVER}) as rig:
        await rig.add(numbered(49))
        await rig.add(numbered(10), "logs")
        started = time.monotonic()
        await rig.until_empty("events")
        assert time.monotonic() - started >= 0.19
        await rig.add(numbered(50, 49))
        await rig.until_empty("events")
        assert [batch.rows for batch in rig.sink.batches("events")] == [49, 50]
        assert rig.table("logs").waiting_rows == 10


async def test_a_burst_that_fills_a_batch_is_seen_although_a_look_was_just_taken() -> None:
    async with Rig(batching={"events": BatchSettings("size", max_batch_size=100)}) as rig:
        for first in range(100):
            await rig.add(numbered(1, first))
        await rig.until_empty()
        assert rig.sink.lines("events") == numbered(100)


async def test_nothing_is_cut_while_the_sink_cannot_take_it_and_a_backlog_leaves_in_large_batches() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(Hang())
    async with Rig(sink) as rig:
        await rig.add(numbered(1))
        await sink.until(lambda: len(sink.writes) == 1)
        for first in range(1, 5001, 100):
            await rig.add(numbered(100, first))
        assert rig.table().sealed_rows == 1
        sink.let_go()
        await rig.until_empty()
        assert [batch.rows for batch in sink.batches("events")] == [1, 1, 5000]
        assert sink.lines("events") == numbered(5001)


async def test_no_batch_is_larger_than_the_global_bound() -> None:
    async with Rig(max_batch_bytes=100) as rig:
        await rig.add(numbered(100))
        await rig.until_empty()
        assert max(len(batch.data) for batch in rig.sink.batches("events")) <= 100
        assert rig.sink.lines("events") == numbered(100)


async def test_the_same_bytes_go_again_under_the_same_id_after_a_refusal() -> None:
    sink = ScriptedSink()
    sink.next["events"].extend([Refuse(is_connection=False)] * 10)
    async with Rig(sink) as rig:
        await rig.add(numbered(5))
        await rig.until_empty()
        sent = sink.batches("events")
        assert len(sent) == 11
        assert {(batch.id, batch.data) for batch in sent} == {(sent[0].id, sent[0].data)}
        assert [batch.is_repeat for batch in sent] == [False] + [True] * 10
        assert rig.counted("batches", table="events", outcome="retried") == 10


async def test_a_write_whose_answer_never_came_takes_effect_once() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(HangAfterWriting())
    async with Rig(sink, write_timeout_seconds=0.05) as rig:
        await rig.add(numbered(5))
        await rig.until_empty()
        assert len(sink.writes) == 2
        assert sink.lines("events") == numbered(5)


async def test_a_sink_that_is_away_does_not_hold_the_start_and_gets_everything_when_it_is_back() -> None:
    sink = ScriptedSink()
    sink.opening.extend([Refuse()] * 4)
    rig = Rig(sink)
    rig.open()
    await rig.add(numbered(3))
    async with rig:
        assert not rig.delivery.snapshot().is_open
        await rig.until_empty()
        assert sink.opens == 5
        assert rig.delivery.snapshot().is_open


async def test_a_sink_that_hangs_at_opening_does_not_hold_the_start() -> None:
    sink = ScriptedSink()
    sink.opening.append(Hang())
    async with asyncio.timeout(2), Rig(sink, write_timeout_seconds=0.05) as rig:
        await rig.add(numbered(3))
        await rig.until_empty()


async def test_a_sink_that_lost_its_connection_is_opened_again_before_the_next_write() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(Refuse("connection reset"))
    async with Rig(sink) as rig:
        await rig.add(numbered(3))
        await rig.until_empty()
        assert sink.opens == 2


async def test_the_breaker_opens_probes_with_one_real_batch_and_closes() -> None:
    tables = [f"t{n}" for n in range(6)]
    sink = ScriptedSink(parallel=4)
    sink.always = dict.fromkeys(tables, Refuse())
    breaker = BreakerSettings(failures=5, open_seconds=0.2, longest_seconds=0.2)
    async with Rig(sink, settings=DeliverySettings(QUICK.lane, breaker)) as rig:
        for table in tables:
            await rig.add(numbered(3), table)
        await rig.until(lambda: rig.counted("breaker_opened") >= 1 and sink.under_way == 0)
        before, opened = len(sink.writes), rig.counted("breaker_opened")
        assert 5 <= before <= 8 + opened
        await rig.until(lambda: rig.counted("breaker_opened") >= opened + 2)
        probes, failed = len(sink.writes) - before, rig.counted("breaker_opened") - opened
        assert probes - failed in (0, 1)  # one may be under way
        sink.always.clear()
        await rig.until_empty()
        assert rig.delivery.snapshot().breaker == "closed"
        assert all(sink.lines(table) == numbered(3) for table in tables)


async def test_while_the_breaker_probes_no_other_batch_is_sent_until_the_probe_is_judged() -> None:
    tables = [f"t{n}" for n in range(6)]
    sink = ScriptedSink(parallel=4)
    sink.always = dict.fromkeys(tables, Refuse())
    async with Rig(sink) as rig:
        for table in tables:
            await rig.add(numbered(3), table)
        # By the third opening nothing that was let through before the first is on its way any more.
        await rig.until(lambda: rig.counted("breaker_opened") >= 3 and sink.under_way == 0)
        before = len(sink.writes)
        seen = []

        def see(_: Batch) -> Behaviour:
            seen.append((rig.delivery.snapshot().breaker, sink.under_way))
            return Take(0.1)

        sink.always = dict.fromkeys(tables, Depends(see))
        await rig.until_empty()
        assert sink.most_under_way <= 4
        assert len(sink.writes) - before == len(seen) == len(tables)
        assert seen[0] == ("half-open", 1)
        assert {state for state, _ in seen[1:]} == {"closed"}


async def test_a_sink_stuck_in_a_call_that_ignores_cancelling_is_closed_and_opened_again() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(Hang(is_stubborn=True))
    async with Rig(sink, write_timeout_seconds=0.02) as rig:
        await rig.add(numbered(3))
        await rig.until_empty()
        assert sink.closes == 1
        assert sink.opens == 2
        assert sink.most_under_way == 1
        assert sink.lines("events") == numbered(3)


async def test_a_bug_in_a_strategy_does_not_end_the_lane() -> None:
    broken = [ZeroDivisionError()]

    def clock() -> float:
        if broken:
            raise broken.pop()
        return time.time()

    async with Rig(clock=clock) as rig:
        await rig.add(numbered(3))
        await rig.until_empty()
        assert rig.counted("batches", table="events", outcome="failed") == 1


async def test_one_broken_table_neither_opens_the_breaker_nor_stops_the_others() -> None:
    sink = ScriptedSink()
    sink.always["logs"] = Refuse("table is missing", is_connection=False)
    async with Rig(sink) as rig:
        await rig.add(numbered(3), "logs")
        await sink.until(lambda: len(sink.batches("logs")) > 8)
        await rig.add(numbered(3))
        await rig.until_empty("events")
        assert rig.delivery.snapshot().breaker == "closed"
        assert rig.table("logs").last_error == "table is missing"


async def test_a_hung_write_holds_up_no_other_table_where_the_sink_has_other_slots() -> None:
    sink = ScriptedSink(parallel=2)
    sink.always["logs"] = Hang()
    async with Rig(sink) as rig:
        await rig.add(numbered(1), "logs")
        await sink.until(lambda: sink.under_way == 1)
        for first in range(50):
            await rig.add(numbered(1, first))
            await rig.until_empty("events")
        assert sink.under_way == 1
        assert sink.lines("events") == numbered(50)


async def test_never_more_writes_at_once_than_the_sink_allows_and_one_per_table() -> None:
    sink = ScriptedSink(parallel=3)
    sink.always = {f"t{n}": Take(0.005) for n in range(8)}
    async with Rig(sink) as rig:
        for first in range(5):
            for table in sink.always:
                await rig.add(numbered(1, first), table)
            await asyncio.sleep(0.002)
        await rig.until_empty()
        assert sink.most_under_way == 3
        assert all(sink.lines(table) == numbered(5) for table in sink.always)


async def test_the_table_of_higher_priority_is_served_first() -> None:
    sink = ScriptedSink()
    everyone_waits = asyncio.Event()
    sink.next["first"].append(Take(when=everyone_waits))
    order = {"first": 3, "low": 4, "high": 1, "middle": 2}
    batching = {table: BatchSettings("immediate", priority=priority) for table, priority in order.items()}
    async with Rig(sink, batching=batching) as rig:
        await rig.add(numbered(1), "first")
        await sink.until(lambda: len(sink.writes) == 1)
        for table in ("low", "middle", "high"):
            await rig.add(numbered(1), table)
        await rig.until(lambda: len(rig.delivery._gate.slots._waiters) == 3)
        everyone_waits.set()
        await rig.until_empty()
        assert [write.batch.table for write in sink.writes] == ["first", "high", "middle", "low"]


async def test_unfinished_batches_of_an_earlier_process_go_first_with_their_ids() -> None:
    rig = Rig()
    rig.open()
    await rig.add(numbered(30))
    old = [await rig.queue.seal("events", 10, 10_000) for _ in range(2)]
    await rig.close()
    async with rig:
        await rig.until_empty()
        first, second, *rest = rig.sink.batches("events")
        assert [first.id, second.id] == [one.id for one in old if one]
        assert [first.is_repeat, second.is_repeat] == [True, True]
        assert not any(batch.is_repeat for batch in rest)
        assert rig.sink.lines("events") == numbered(30)


async def test_dead_letters_that_are_replayed_are_delivered() -> None:
    sink = ScriptedSink()
    sink.next["events"].append(RejectRows(lambda line: line == numbered(1)[0]))
    async with Rig(sink) as rig:
        await rig.add(numbered(3))
        await rig.until_empty()
        assert sink.lines("events") == numbered(2, 1)
        assert await rig.batcher.replay(None, DeadFilter()) == 1
        await rig.until_empty()
        assert sink.lines("events") == [*numbered(2, 1), *numbered(1)]
        assert not await rig.dead()


async def test_a_full_disk_is_waited_for_at_every_step_and_nothing_is_sent_twice() -> None:
    rig = Rig()
    rig.open()
    for step in ("unfinished", "seal", "load", "finish"):
        rig.queue.failures[step] = [FULL] * 3
    async with rig:
        await rig.add(numbered(5))
        await rig.until_empty()
        assert len(rig.sink.writes) == 1
        assert not any(rig.queue.failures.values())


async def test_drain_sends_what_strategies_would_still_keep() -> None:
    async with Rig(batching={"events": NEVER, "logs": NEVER}) as rig:
        await rig.add(numbered(10))
        await rig.add(numbered(10), "logs")
        assert await rig.delivery.drain(5.0)
        assert rig.sink.lines("events") == rig.sink.lines("logs") == numbered(10)
        assert not rig.queue.tables()


async def test_drain_gives_up_at_its_deadline_and_stop_ends_although_everything_hangs() -> None:
    sink = ScriptedSink()
    sink.always["events"] = Hang(is_stubborn=True)
    sink.closing_lets_go = False
    rig = Rig(sink)
    started = time.monotonic()
    async with rig:
        await rig.add(numbered(10))
        await sink.until(lambda: sink.under_way == 1)
        assert not await rig.delivery.drain(0.1)
        await rig.delivery.stop()
        assert time.monotonic() - started < 2
        assert rig.table().sealed_rows == 10
    assert sink.closes >= 1
    sink.let_go()
    await sink.until(lambda: sink.under_way == 0)


async def test_adaptive_batches_grow_with_a_backlog() -> None:
    sink = ScriptedSink()
    sink.always["events"] = Take(0.001)
    adaptive = BatchSettings("adaptive", max_batch_size=20_000, max_batch_time_seconds=0.01)
    async with Rig(sink, batching={"events": adaptive}) as rig:
        before = 1000.0
        await rig.add(numbered(60_000))
        await rig.until_empty()
        assert rig.table().limits["rows"] > before
        assert sink.lines("events") == numbered(60_000)


async def test_rows_that_come_after_stop_are_left_in_the_queue() -> None:
    async with Rig() as rig:
        await rig.delivery.stop()
        await rig.add(numbered(3))
        assert not rig.sink.writes
        assert rig.queue.tables() == ["events"]


async def test_a_healthy_sink_keeps_its_pace_beside_one_that_hangs() -> None:
    ill, well = ScriptedSink("ill"), ScriptedSink("well")
    ill.always["events"] = Hang()
    async with Rig(ill) as left, Rig(well, batching={"events": NOW}) as right:
        await left.add(numbered(1))
        await ill.until(lambda: len(ill.writes) == 1)
        for first in range(20):
            await left.add(numbered(1, first + 1))
            await right.add(numbered(1, first))
            await right.until_empty()
        assert well.lines("events") == numbered(20)
        assert len(ill.writes) == 1
        assert lines_of(ill.writes[0].batch) == numbered(1)


async def test_batches_of_a_store_that_wants_rest_come_apart_and_take_what_waited() -> None:
    sink = ScriptedSink()
    sink.rest_seconds = 0.3
    few = BatchSettings(strategy="hybrid", max_batch_size=2, max_batch_time_seconds=0.0)
    async with Rig(sink, {"events": few, "logs": few}) as rig:
        await rig.add(numbered(2))
        await rig.until_empty("events")
        for first in range(2, 42, 2):
            await rig.add(numbered(2, first))
        await rig.add(numbered(2), "logs")  # another table does not wait for this one's rest
        await rig.until_empty("logs")
        assert len(sink.batches("events")) == 1
        await rig.until_empty()
        assert [batch.rows for batch in sink.batches("events")] == [2, 40]
        assert sink.lines("events") == numbered(42)


async def test_a_backlog_of_full_batches_does_not_rest() -> None:
    sink = ScriptedSink()
    sink.rest_seconds = 3600.0
    async with Rig(sink, max_batch_bytes=100) as rig:
        for first in range(0, 50, 10):
            await rig.add(numbered(10, first))
        await rig.until(lambda: len(sink.lines("events")) >= 40)
        assert sink.under_way == 0


async def test_a_store_that_wants_rest_gets_everything_at_the_end() -> None:
    sink = ScriptedSink()
    sink.rest_seconds = 3600.0
    async with Rig(sink) as rig:
        for first in (0, 3):
            await rig.add(numbered(3, first))
            await rig.until(lambda: sink.lines("events"))
        await rig.delivery.drain(5.0)
        assert sink.lines("events") == numbered(6)


async def test_a_table_that_does_not_fit_holds_says_why_and_goes_on_when_it_was_mended() -> None:
    sink = ScriptedSink()
    sink.always["events"] = Raise(SchemaMismatch("events has no column ename; run: mend it"))
    async with Rig(sink) as rig:
        await rig.add(numbered(3))
        await rig.add(numbered(3), "logs")
        await rig.until(lambda: rig.table().held)
        assert rig.table().held == "events has no column ename; run: mend it"
        await rig.until_empty("logs")
        assert rig.delivery.snapshot().breaker == "closed"
        sink.always.clear()
        assert rig.delivery.release("events")
        await rig.until_empty()
        assert sink.lines("events") == numbered(3)
        assert await rig.dead() == []
