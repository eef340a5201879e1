"""Group commit on a real spool and a real loop: who waits, who is refused, who is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.support.spools import NOW, check, client_id, entry, names, open_spool
from tracker.batching.batcher import Batcher
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool
from tracker.errors import CannotStore
from tracker.events import Entry, Row
from tracker.metrics import Metrics


def _batcher(spool: Spool, max_memory_bytes: int = 10_000_000) -> Batcher:
    metrics = Metrics(CollectorRegistry(), "test")
    return Batcher(spool, max_memory_bytes=max_memory_bytes, clock=time.time, metrics=metrics)


def _metric(batcher: Batcher, name: str, **labels: str) -> float:
    return batcher._metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def batcher(tmp_path: Path) -> AsyncIterator[Batcher]:
    batcher = _batcher(open_spool(tmp_path, "a"))
    yield batcher
    await batcher.close()


def _hold_writer(batcher: Batcher) -> "asyncio.Event":
    """Keep the writing thread busy until the event is set, as a slow disk does."""
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    batcher.call(lambda: asyncio.run_coroutine_threadsafe(release.wait(), loop).result())
    return release


async def test_what_add_returned_for_is_on_disk(tmp_path: Path, batcher: Batcher) -> None:
    assert await batcher.add([entry(1), entry(2)]) == 0
    (total,) = await batcher.totals()
    assert (total.accepted, total.waiting) == (2, 2)


async def test_what_arrives_during_a_commit_shares_the_next(batcher: Batcher) -> None:
    release = _hold_writer(batcher)
    adds = [asyncio.create_task(batcher.add([entry(n)])) for n in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    adds += [asyncio.create_task(batcher.add([entry(n)])) for n in range(50, 100)]
    release.set()
    assert sum(await asyncio.gather(*adds)) == 0
    assert _metric(batcher, "tracker_spool_commits_total") == 2
    assert _metric(batcher, "tracker_spool_commit_seconds_count") == 2


async def test_each_caller_learns_how_many_of_its_entries_were_retries(batcher: Batcher) -> None:
    one, two, three = (entry(n, client_id=client_id(n)) for n in range(3))
    counts = await asyncio.gather(
        batcher.add([one, two]), batcher.add([two, one, three]), batcher.add([entry(9)]), batcher.add([three])
    )
    assert list(counts) == [0, 2, 0, 1]
    assert await batcher.add([one, two, three]) == 3
    assert _metric(batcher, "tracker_events_duplicate_total") == 6


async def test_a_cancelled_caller_harms_nobody_else(batcher: Batcher) -> None:
    release = _hold_writer(batcher)
    adds = [asyncio.create_task(batcher.add([entry(n)])) for n in range(3)]
    await asyncio.sleep(0)
    adds[1].cancel()
    release.set()
    outcomes = await asyncio.gather(*adds, return_exceptions=True)
    assert [outcomes[0], outcomes[2]] == [0, 0]
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert batcher.waiting_bytes == 0


async def test_too_much_waiting_for_the_disk_is_refused_at_once(tmp_path: Path) -> None:
    batcher = _batcher(open_spool(tmp_path, "a"), max_memory_bytes=3000)
    release = _hold_writer(batcher)
    first = asyncio.create_task(batcher.add([entry("x" * 2500)]))
    await asyncio.sleep(0)
    with pytest.raises(CannotStore, match="too much waiting for the disk"):
        await batcher.add([entry("y" * 2500)])
    release.set()
    assert await first == 0
    assert await batcher.add([entry("z" * 5000)]) == 0  # alone, anything is taken
    await batcher.close()


async def test_a_full_spool_refuses_each_caller_and_is_counted(tmp_path: Path) -> None:
    batcher = _batcher(open_spool(tmp_path, "a", max_bytes=10))
    outcomes = await asyncio.gather(*(batcher.add([entry(n)]) for n in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["spool full"] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert _metric(batcher, "tracker_spool_commit_failures_total", reason="spool full") == 1
    await batcher.close()


async def test_a_commit_that_fails_unexpectedly_acknowledges_nothing_and_the_next_works(
    batcher: Batcher, caplog: pytest.LogCaptureFixture
) -> None:
    line: Any = "text instead of bytes"
    with pytest.raises(CannotStore, match="spool failed"):
        await batcher.add([Entry((Row("events", line),))])
    assert caplog.messages == ["spool commit failed unexpectedly"]
    assert await batcher.add([entry(1)]) == 0
    (total,) = await batcher.totals()
    assert total.accepted == 1


async def test_a_failing_disk_is_seen_to_be_well_again_without_a_request(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    batcher = _batcher(spool)
    await batcher.call(lambda: spool.database.connection().execute("PRAGMA max_page_count = 1"))
    with pytest.raises(CannotStore, match="disk full"):
        await batcher.add([entry("x" * 100_000)])
    assert batcher.state().failure == "disk full"
    async with asyncio.timeout(10):
        while batcher.state().failure:  # noqa: ASYNC110  # the disk gives no signal to wait for
            await asyncio.sleep(0.01)
    assert await batcher.add([entry(2)]) == 0
    await batcher.close()


async def test_large_groups_are_committed_in_bounded_parts(tmp_path: Path) -> None:
    batcher = _batcher(open_spool(tmp_path, "a"), max_memory_bytes=100_000_000)
    release = _hold_writer(batcher)
    adds = [asyncio.create_task(batcher.add([entry("x" * 3_000_000)])) for _ in range(6)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(*adds)
    assert _metric(batcher, "tracker_spool_commits_total") >= 3
    await batcher.close()


async def test_delivery_is_told_of_tables_that_got_rows(batcher: Batcher) -> None:
    told: list[set[str]] = []

    def note(tables: Iterable[str]) -> None:
        told.append(set(tables))

    batcher.on_arrival(note)
    await batcher.add([entry(1), entry(2, table="hosts")])
    await batcher.add([entry(3, client_id=client_id(1))])
    await batcher.add([entry(3, client_id=client_id(1))])
    assert told == [{"events", "hosts"}, {"events"}]


async def test_what_waits_is_known_without_asking_the_disk(batcher: Batcher) -> None:
    queue = batcher.queue("a")
    assert (queue.waiting("events"), queue.tables()) == (None, [])
    before = time.time()
    await batcher.add([entry(1), entry(2)])
    waiting = queue.waiting("events")
    assert waiting is not None
    assert (waiting.rows, waiting.bytes) == (2, 2 * len(b'{"n":"1"}\n'))
    assert before <= waiting.oldest_at <= time.time()
    assert 0 < waiting.rows_per_second <= 2
    assert queue.tables() == ["events"]


async def test_a_batch_goes_its_whole_way_through_the_queue(batcher: Batcher) -> None:
    queue = batcher.queue("a")
    await batcher.add([entry(n) for n in range(10)])
    sealed = await queue.seal("events", 8, 10_000)
    assert sealed is not None
    left, right = await queue.halve(sealed)
    child = await queue.reject(right, {0: "bad"})
    assert child is not None
    assert names((await queue.load(left)).data) == ["0", "1", "2", "3"]
    assert names((await queue.load(child)).data) == ["5", "6", "7"]
    await queue.finish(left)
    await queue.finish(child)
    assert queue.tables() == ["events"]
    (total,) = await batcher.totals()
    assert (total.delivered, total.dead, total.waiting, total.difference) == (7, 1, 2, 0)


async def test_replayed_rows_wait_again_and_delivery_is_told(batcher: Batcher) -> None:
    queue, told = batcher.queue("a"), list[str]()
    await batcher.add([entry(1)])
    sealed = await queue.seal("events", 8, 10_000)
    assert sealed is not None
    await queue.reject(sealed, {0: "bad"})
    batcher.on_arrival(told.extend)
    assert await batcher.replay(None, DeadFilter()) == 1
    assert told == ["events"]
    waiting = queue.waiting("events")
    assert waiting is not None
    assert waiting.rows == 1
    again = await queue.seal("events", 8, 10_000)
    assert again is not None
    assert names((await queue.load(again)).data) == ["1"]


async def test_a_seal_cancelled_on_its_way_is_handed_out_again(batcher: Batcher) -> None:
    queue = batcher.queue("a")
    await batcher.add([entry(1)])
    release = _hold_writer(batcher)
    sealing = asyncio.create_task(queue.seal("events", 8, 10_000))
    await asyncio.sleep(0)
    sealing.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await sealing
    await batcher.call(int)
    await batcher.call(int)
    again = await queue.seal("events", 8, 10_000)
    assert again is not None
    assert again.rows == 1


async def test_rows_nobody_needs_go_by_themselves(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    batcher = _batcher(spool)
    queue = batcher.queue("a")
    await batcher.add([entry(n) for n in range(10)])
    sealed = await queue.seal("events", 100, 10_000)
    assert sealed is not None
    await queue.finish(sealed)
    async with asyncio.timeout(30):
        while batcher.state().live_bytes:
            await batcher.call(time.sleep, 0.001)
    await batcher.close()
    spool = open_spool(tmp_path, "a")
    assert spool.verify().chunks == 0
    check(spool)
    spool.close()


async def test_closing_commits_what_was_taken_and_refuses_the_rest(tmp_path: Path) -> None:
    batcher = _batcher(open_spool(tmp_path, "a"))
    adds = [asyncio.create_task(batcher.add([entry(n)])) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(batcher.close(), batcher.close())
    assert sum(await asyncio.gather(*adds)) == 0
    for refused in (batcher.add([entry(1)]), batcher.queue("a").seal("events", 1, 1)):
        with pytest.raises(CannotStore, match="closing"):
            await refused
    await batcher.close()
    spool = open_spool(tmp_path, "a")
    assert [total.waiting for total in spool.totals()] == [20]
    spool.close()


async def test_while_draining_batches_still_move(tmp_path: Path) -> None:
    batcher = _batcher(open_spool(tmp_path, "a"))
    queue = batcher.queue("a")
    add = asyncio.create_task(batcher.add([entry(1)]))
    await asyncio.sleep(0)
    await batcher.drain()
    assert add.done()
    with pytest.raises(CannotStore, match="closing"):
        await batcher.add([entry(2)])
    sealed = await queue.seal("events", 8, 10_000)
    assert sealed is not None
    await queue.finish(sealed)
    await batcher.close()


def test_the_arrival_rate_forgets_within_seconds() -> None:
    from tracker.batching.arrival import ArrivalRate

    rate = ArrivalRate()
    for second in range(60):
        rate = rate.arrived(100, NOW + second)
    assert 80 < rate.as_of(NOW + 59.5) < 125
    assert rate.as_of(NOW + 90) < 1
