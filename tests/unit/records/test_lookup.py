"""Lookups: what is answered from memory, what is asked of the store, and what happens when it is away."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.records.shelf import Shelf, Waits
from tracker.errors import RecordsUnavailable
from tracker.records import lookup as module
from tracker.records import settling
from tracker.records.lookup import AWAY_SECONDS, UNKNOWN, Lookup
from tracker.records.memory import FRESH_SECONDS, MISSED_SECONDS
from tracker.records.settling import MISSING_SECONDS

EARLY, NOON, LATE = (f"2026-11-22 {hour}:00:00.000Z" for hour in ("03", "12", "20"))


def link(urlfrom: str, urlto: str = "https://x.example/", updated_at: str = NOON) -> dict[str, Any]:
    return {"urlfrom": urlfrom, "urlto": urlto, "updated_at": updated_at}


@dataclass
class Desk:
    """A lookup of links, what it asks, and its clock."""

    shelf: Shelf = field(default_factory=Shelf)
    waits: Waits = field(default_factory=Waits)
    now: float = 1000.0
    lookup: Lookup = field(init=False)

    def __post_init__(self) -> None:
        self.renew()

    def renew(self, **options: Any) -> None:
        """Another process starts."""
        self.lookup = Lookup(
            "redirects", "urlfrom", self.shelf, self.waits, clock=lambda: self.now, **options
        )

    async def target(self, key: str) -> str | None:
        row = await self.lookup.get(key)
        return None if row is None else str(row["urlto"])

    async def settled(self) -> None:
        """What is asked in the background has been answered."""
        async with asyncio.timeout(2):
            while self.lookup._asker is not None and not self.lookup._asker.done():
                await asyncio.wait({self.lookup._asker})


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.lookup.close()


async def test_a_row_is_asked_for_once_and_then_answered_from_memory(desk: Desk) -> None:
    desk.shelf.put("redirects", link("a/1", "https://one.example/"))
    assert desk.lookup.peek("a/1") is UNKNOWN
    assert await desk.target("a/1") == await desk.target("a/1") == "https://one.example/"
    row = desk.lookup.peek("a/1")
    assert isinstance(row, dict)
    assert row["oid"] == "00000000-0000-0000-0000-000000000000"
    assert desk.shelf.asked == [["a/1"]]


async def test_what_another_instance_changes_is_seen_soon_and_nobody_waits_for_it(desk: Desk) -> None:
    desk.shelf.put("redirects", link("a/1", "https://one.example/"))
    await desk.target("a/1")
    desk.shelf.put("redirects", link("a/1", "https://two.example/", LATE))
    desk.now += FRESH_SECONDS - 0.1
    assert await desk.target("a/1") == "https://one.example/"
    assert len(desk.shelf.asked) == 1
    desk.now += 0.2
    assert await desk.target("a/1") == "https://one.example/"
    await desk.settled()
    assert await desk.target("a/1") == "https://two.example/"
    assert len(desk.shelf.asked) == 2


async def test_a_miss_is_remembered_for_a_moment(desk: Desk) -> None:
    assert await desk.target("a/1") is None
    assert desk.lookup.peek("a/1") is None
    desk.shelf.put("redirects", link("a/1"))
    assert await desk.target("a/1") is None
    desk.now += MISSED_SECONDS
    assert await desk.target("a/1") == "https://x.example/"


async def test_many_who_ask_for_one_key_cause_one_question(desk: Desk) -> None:
    desk.shelf.put("redirects", link("a/1"))
    found = await asyncio.gather(*(desk.target("a/1") for _ in range(50)))
    assert found == ["https://x.example/"] * 50
    assert desk.shelf.asked == [["a/1"]]


async def test_keys_asked_for_while_a_question_is_under_way_share_the_next(desk: Desk) -> None:
    desk.shelf.answering.clear()
    asking = [asyncio.create_task(desk.target("a/0"))]
    await asyncio.sleep(0.01)
    asking += [asyncio.create_task(desk.target(f"a/{number}")) for number in range(1, 200)]
    await asyncio.sleep(0.01)
    desk.shelf.answering.set()
    assert await asyncio.gather(*asking) == [None] * 200
    assert [len(keys) for keys in desk.shelf.asked] == [1, 199]


async def test_what_is_written_is_the_answer_at_once_and_stays_it(desk: Desk) -> None:
    assert await desk.target("a/1") is None
    desk.lookup.wrote(link("a/1", "https://new.example/", LATE))
    assert await desk.target("a/1") == "https://new.example/"
    desk.shelf.put("redirects", link("a/1", "https://old.example/", EARLY))
    for _ in range(3):
        desk.now += 2 * FRESH_SECONDS
        assert await desk.target("a/1") == "https://new.example/"
        await desk.settled()
    assert len(desk.shelf.asked) == 4
    desk.shelf.put("redirects", link("a/1", "https://newer.example/", "2026-11-23 00:00:00.000Z"))
    desk.now += 2 * FRESH_SECONDS
    await desk.target("a/1")
    await desk.settled()
    assert await desk.target("a/1") == "https://newer.example/"


async def test_an_answer_that_was_on_its_way_does_not_undo_what_was_written(desk: Desk) -> None:
    desk.shelf.answering.clear()
    asking = asyncio.create_task(desk.target("a/1"))
    await asyncio.sleep(0.01)
    desk.lookup.wrote(link("a/1", "https://new.example/"))
    desk.shelf.answering.set()
    assert await asking == "https://new.example/"
    assert await desk.target("a/1") == "https://new.example/"


async def test_an_older_row_written_late_changes_nothing_and_of_equal_ones_the_last_counts(
    desk: Desk,
) -> None:
    desk.lookup.wrote(link("a/1", "https://late.example/", LATE))
    desk.lookup.wrote(link("a/1", "https://early.example/", EARLY))
    assert await desk.target("a/1") == "https://late.example/"
    desk.lookup.wrote(link("a/1", "https://last.example/", LATE))
    assert await desk.target("a/1") == "https://last.example/"


async def test_while_the_store_is_away_what_is_known_is_answered_and_nothing_is_made_up(desk: Desk) -> None:
    desk.shelf.put("redirects", link("a/1"))
    await desk.target("a/1")
    desk.shelf.is_away = True
    desk.lookup.wrote(link("a/2", "https://two.example/"))
    desk.now += 1000
    assert await desk.target("a/1") == "https://x.example/"
    await desk.settled()
    assert (await desk.target("a/1"), await desk.target("a/2")) == (
        "https://x.example/",
        "https://two.example/",
    )
    with pytest.raises(RecordsUnavailable) as caught:
        await desk.target("a/3")
    assert caught.value.retry_after_seconds > 0
    asked = len(desk.shelf.asked)
    for _ in range(20):
        with pytest.raises(RecordsUnavailable):
            await desk.target("a/3")
    assert len(desk.shelf.asked) == asked, "a store that failed is left alone for a moment"
    desk.shelf.is_away = False
    desk.now += AWAY_SECONDS
    assert await desk.target("a/3") is None


async def test_what_waits_in_the_spool_is_answered_from_the_start(desk: Desk) -> None:
    desk.waits = Waits(link("a/1", "https://late.example/", LATE), link("a/1"), link("a/2"))
    desk.waits.held += [b"no JSON", b"[1]"]
    desk.renew()
    await desk.lookup.start()
    desk.shelf.is_away = True
    assert await desk.target("a/1") == "https://late.example/"
    assert await desk.target("a/2") == "https://x.example/"


async def test_nobody_is_told_that_there_is_none_before_the_spool_was_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.waits = Waits(link("a/1"))
    desk.waits.readable.clear()
    desk.renew()
    await desk.lookup.start()
    asking = asyncio.create_task(desk.target("a/1"))
    await asyncio.sleep(0.02)
    assert not asking.done()
    desk.waits.readable.set()
    assert await asking == "https://x.example/"
    desk.waits.readable.clear()
    desk.renew()
    monkeypatch.setattr(module, "LOAD_SECONDS", 0.02)
    await desk.lookup.start()
    with pytest.raises(RecordsUnavailable):
        await desk.target("a/1")


async def test_without_a_store_only_what_waits_is_known() -> None:
    lookup = Lookup("redirects", "urlfrom", None, Waits(link("a/1")))
    await lookup.start()
    assert await lookup.get("a/1")
    with pytest.raises(RecordsUnavailable):
        await lookup.get("a/2")
    await lookup.close()


async def test_a_row_that_the_store_has_is_held_no_longer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SWEEP_SECONDS", 0.005)
    await desk.lookup.start()
    await desk.target("b/1")
    rows = [link(f"a/{number}") for number in range(1200)]
    desk.waits.held = [b"{}"]
    for row in rows:
        desk.lookup.wrote(row)
    for row in rows[:1199]:
        desk.shelf.put("redirects", row)
    async with asyncio.timeout(5):
        while len(desk.lookup._pending) > 1:  # noqa: ASYNC110  # nothing tells when it has swept
            await asyncio.sleep(0.005)
    assert await desk.target("a/1199") == "https://x.example/"


async def test_a_row_that_the_store_refused_is_an_answer_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "SWEEP_SECONDS", 0.005)
    await desk.lookup.start()
    desk.waits.held = [b"{}"]
    desk.lookup.wrote(link("a/1"))
    await asyncio.sleep(0.05)
    assert await desk.target("a/1") == "https://x.example/"
    desk.waits.held = []
    await asyncio.sleep(0.05)
    assert await desk.target("a/1") == "https://x.example/", "a replica may be late"
    desk.now += MISSING_SECONDS
    async with asyncio.timeout(5):
        while await desk.target("a/1") is not None:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.005)
    assert desk.lookup._settling._missing == {}


async def test_rows_for_which_memory_has_no_room_are_read_from_the_spool(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [link(f"a/{number}", f"https://{number}.example/", LATE) for number in range(200)]
    desk.waits = Waits(*rows)
    desk.renew(most_entries=10, most_pending_bytes=20_000)
    await desk.lookup.start()
    await desk.target("b/0")
    assert len(desk.lookup._pending) < 60
    for number in range(0, 200, 7):
        assert await desk.target(f"a/{number}") == f"https://{number}.example/"
        desk.shelf.put("redirects", link(f"a/{number}", "https://old.example/", EARLY))
    assert await desk.target("b/1") is None
    desk.now += 1000
    assert await desk.target("a/0") == "https://0.example/"
    desk.shelf.is_away = True
    for number in range(3, 200, 11):
        desk.now += 1
        assert await desk.target(f"a/{number}") == f"https://{number}.example/", "it is in the spool"
    with pytest.raises(RecordsUnavailable):
        await desk.target("b/2")
    desk.shelf.is_away = False
    desk.now += AWAY_SECONDS
    monkeypatch.setattr(settling, "SWEEP_SECONDS", 0.005)
    for row in rows:
        desk.shelf.put("redirects", row)
    desk.waits.held = []
    await desk.lookup._settling.settle_some()
    assert not desk.lookup._pending.lost


async def test_misses_put_no_row_out_of_memory(desk: Desk) -> None:
    desk.renew(most_entries=50)
    for number in range(50):
        desk.shelf.put("redirects", link(f"a/{number}"))
        await desk.target(f"a/{number}")
    await asyncio.gather(*(desk.target(f"random/{number}") for number in range(11_000)))
    asked = len(desk.shelf.asked)
    assert all([await desk.target(f"a/{number}") for number in range(50)])
    assert len(desk.shelf.asked) == asked
    assert len(desk.lookup._memory._missed) <= 10_000


async def test_what_is_forgotten_is_asked_for_anew(desk: Desk) -> None:
    desk.lookup.wrote(link("a/1"))
    desk.lookup.forget("a/1")
    assert await desk.target("a/1") is None


async def test_rows_of_a_question_have_what_waits_and_each_key_once(desk: Desk) -> None:
    vid = "018f6f2e-0000-7000-8000-000000000001"
    oids = [f"018f6f2e-0000-7000-8000-00000000000{number}" for number in (2, 3)]
    consents = Lookup("agreements", "vid", desk.shelf, desk.waits)
    row = {"vid": vid, "oid": oids[0], "cflags": 1, "updated_at": NOON}
    desk.shelf.put("agreements", row)
    consents.wrote({**row, "cflags": 2, "updated_at": LATE})
    consents.wrote({**row, "cflags": 4, "oid": oids[1]})
    consents.wrote({**row, "vid": oids[0]})
    found = {row["oid"]: row["cflags"] for row in await consents.rows({"vid": [vid]})}
    assert found == {oids[0]: 2, oids[1]: 4}
    newest = await consents.get(vid)
    assert newest is not None
    assert newest["cflags"] == 2
    await consents.close()


async def test_whoever_goes_away_while_waiting_leaves_no_trace(desk: Desk) -> None:
    desk.shelf.answering.clear()
    asking = asyncio.create_task(desk.target("a/1"))
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    desk.shelf.is_away = True
    desk.shelf.answering.set()
    await desk.settled()


async def test_closing_tells_who_waits(desk: Desk) -> None:
    desk.shelf.answering.clear()
    asking = asyncio.create_task(desk.target("a/1"))
    await asyncio.sleep(0.01)
    await desk.lookup.close()
    with pytest.raises(RecordsUnavailable):
        await asking
