import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests.unit.steps.build import NOW, VID, hit, tables
from tracker.errors import BadHit, CannotStore
from tracker.events import Entry
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings


class Spooler:
    """Keeps what it is given; refuses while told to, waits while its gate is closed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.refusal: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def add(self, entries: Sequence[Entry]) -> int:
        await self.gate.wait()
        if self.refusal:
            raise self.refusal
        self.entries += entries
        return 0


class Bench:
    def __init__(self, **changes: Any) -> None:
        self.registry = CollectorRegistry()
        self.spooler = Spooler()
        settings = PipelineSettings(**changes)
        self.pipeline = Pipeline(self.spooler, settings, Metrics(self.registry, "test"), now=lambda: NOW)

    def unpromised(self, route: str) -> float:
        return self.registry.get_sample_value("tracker_events_unpromised_total", {"route": route}) or 0


async def test_an_accepted_hit_is_stored_and_says_whose_it_is() -> None:
    bench = Bench()
    identity = await bench.pipeline.accept(hit({"vid": VID, "eid": VID}))
    assert (identity.vid, identity.eid, identity.is_new) == (VID, VID, False)
    assert [tables(entry) for entry in bench.spooler.entries] == [["events", "hosts"]]


async def test_what_cannot_be_stored_is_not_acknowledged() -> None:
    bench = Bench()
    bench.spooler.refusal = CannotStore("full")
    with pytest.raises(CannotStore):
        await bench.pipeline.accept(hit({}))


async def test_what_can_never_be_stored_does_not_reach_the_spooler() -> None:
    bench = Bench(max_depth=2)
    with pytest.raises(BadHit):
        await bench.pipeline.accept(hit({"params": "[[[]]]"}))
    assert bench.spooler.entries == []


async def test_nothing_to_store_asks_nobody() -> None:
    bench = Bench()
    bench.spooler.refusal = CannotStore("full")
    await bench.pipeline.store([], "tr")


async def test_a_host_s_name_is_written_until_that_has_succeeded_and_then_not_again() -> None:
    bench = Bench()
    bench.spooler.refusal = CannotStore("full")
    with pytest.raises(CannotStore):
        await bench.pipeline.accept(hit({"vid": VID}))
    bench.spooler.refusal = None
    for _ in range(3):
        await bench.pipeline.accept(hit({"vid": VID}))
    await bench.pipeline.accept(hit({"vid": VID}, host="other.org"))
    assert [tables(entry) for entry in bench.spooler.entries] == [
        ["events", "hosts"],
        ["events"],
        ["events"],
        ["events", "hosts"],
    ]


async def test_closing_waits_for_what_is_stored_in_the_background() -> None:
    bench = Bench()
    bench.spooler.gate.clear()
    bench.pipeline.store_later([bench.pipeline.prepare(hit({}, route="rdr"))], "rdr")
    closing = asyncio.create_task(bench.pipeline.close())
    await asyncio.sleep(0)
    assert not closing.done()
    bench.spooler.gate.set()
    await closing
    assert len(bench.spooler.entries) == 1
    assert bench.unpromised("rdr") == 0


@pytest.mark.parametrize("refusal", [CannotStore("full"), RuntimeError("a bug")])
async def test_a_failure_in_the_background_is_counted(refusal: Exception) -> None:
    bench = Bench()
    bench.spooler.refusal = refusal
    bench.pipeline.store_later([bench.pipeline.prepare(hit({}, route="img"))], "img")
    await bench.pipeline.close()
    assert bench.unpromised("img") == 1


async def test_only_so_much_waits_in_the_background() -> None:
    bench = Bench(max_background=2)
    bench.spooler.gate.clear()
    for _ in range(5):
        bench.pipeline.store_later([bench.pipeline.prepare(hit({}, route="img"))], "img")
    assert bench.unpromised("img") == 3
    bench.spooler.gate.set()
    await bench.pipeline.close()
    assert len(bench.spooler.entries) == 2


async def test_records_are_stored_like_events() -> None:
    bench = Bench()
    prepared = [bench.pipeline.prepare_record("count", {"id": "x"}, NOW)]
    prepared.append(bench.pipeline.prepare_record("event", {"ename": "x"}, NOW))
    await bench.pipeline.store(prepared, "send")
    assert [tables(entry) for entry in bench.spooler.entries] == [["counters"], ["events"]]
