"""Sinks that misbehave: what is sent again, what is put aside, and that nobody else waits for it.

Each row of the matrix shows that its fault happened, that two healthy sinks and the tables beside it finish
all their work while it still does, and that the sick sink has every row exactly once after it was mended.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.scripted_sink import (
    Behaviour,
    Hang,
    HangAfterWriting,
    Raise,
    Refuse,
    RejectBatch,
    RejectPositions,
    RejectRows,
    Return,
    Take,
)
from tests.support.ward import TABLES, Ward, misbehaving
from tests.unit.batching.rig import numbered
from tracker.batching.verdicts import MOST_CHARACTERS, NO_REASON
from tracker.errors import BatchRejected, CannotStore, QueryError

ROWS = 300


class EndOfTheWorld(BaseException):
    """What a driver should never raise."""


def is_bad(row: bytes) -> bool:
    return row in (b'{"n": 7}', b'{"n": 8}', b'{"n": 290}')


@dataclass(frozen=True)
class Fault:
    """How a sink misbehaves and what becomes of it."""

    behaviour: Callable[[], Behaviour]
    outcome: str
    """What is counted: retried | failed | rejected | split; '' when nothing is."""
    tables: tuple[str, ...] = ("events",)
    opens_breaker: bool | None = False
    """None: it may, a time-out says little about what is slow."""
    holds: bool = False
    dead: int = 0
    is_mended: bool = True
    """False: the rows are bad, not the sink."""
    write_timeout_seconds: float = 5.0


def everywhere(behaviour: Callable[[], Behaviour], seconds: float = 5.0) -> Fault:
    """The whole sink is away: same batches again, for ever, behind a breaker."""
    return Fault(behaviour, "retried", TABLES, opens_breaker=True, write_timeout_seconds=seconds)


def bug(behaviour: Callable[[], Behaviour]) -> Fault:
    """Nobody expects it: same batch again, and after five times the table holds."""
    return Fault(behaviour, "failed", holds=True)


MATRIX = {
    "hangs": everywhere(Hang, 0.03),
    "hangs, one table": Fault(Hang, "retried", opens_breaker=None, write_timeout_seconds=0.1),
    "hangs and ignores being cancelled": everywhere(lambda: Hang(is_stubborn=True), 0.03),
    "times out after having written": everywhere(HangAfterWriting, 0.03),
    "refuses": everywhere(Refuse),
    "the driver cancels itself": everywhere(lambda: Raise(asyncio.CancelledError())),
    "refuses one table": Fault(lambda: Refuse(is_connection=False), "retried"),
    "asks for patience": Fault(lambda: Refuse(is_connection=False, retry_after_seconds=0.01), "retried"),
    "slow": Fault(lambda: Take(when=asyncio.Event()), "", write_timeout_seconds=60.0),
    "rejects some rows": Fault(lambda: RejectRows(is_bad), "rejected", dead=3, is_mended=False),
    "rejects batches for some rows": Fault(lambda: RejectBatch(is_bad), "split", dead=3, is_mended=False),
    "rejects everything": Fault(lambda: RejectRows(lambda _: True), "rejected", holds=True),
    "rejects every batch": Fault(lambda: RejectBatch(lambda _: True), "split", holds=True, dead=99),
    "names no row": bug(lambda: RejectPositions(())),
    "names a row before the first": bug(lambda: RejectPositions((-1,))),
    "names a row behind the last": bug(lambda: RejectPositions((0, 1_000_000))),
    "names a row by text": bug(lambda: RejectPositions(("0",))),
    "names half a row": bug(lambda: RejectPositions((0.5,))),
    "names a row by truth": bug(lambda: RejectPositions((True,))),
    "answers": bug(lambda: Return(False)),
    "answers with an error": bug(lambda: Return(BatchRejected("not raised"))),
    "raises a bug": bug(lambda: Raise(KeyError("column"))),
    "raises the wrong tree": bug(lambda: Raise(QueryError("not a sink's word"))),
    "raises the spool's word": bug(lambda: Raise(CannotStore("disk full"))),
    "ends the world": bug(lambda: Raise(EndOfTheWorld())),
    "exits": bug(lambda: Raise(SystemExit(3))),
    "ends its generator": bug(lambda: Raise(GeneratorExit())),
}


@pytest.mark.parametrize("name", MATRIX)
async def test_a_sick_sink_keeps_nobody_waiting_and_has_everything_once_when_it_is_well(name: str) -> None:
    fault = MATRIX[name]
    sick = misbehaving(fault.behaviour(), *fault.tables)
    async with Ward(sick, write_timeout_seconds=fault.write_timeout_seconds) as ward:
        await ward.add_to_all(ROWS)
        await until_it_shows(ward, fault)
        await ward.add_to_all(100, ROWS)
        await ward.until_the_healthy_have(numbered(ROWS + 100), *TABLES)
        for table in set(TABLES) - set(fault.tables):
            await ward.until(lambda table=table: not ward.delivery.owes(table))  # type: ignore[misc]  # as in Ward
            assert sick.lines(table) == numbered(ROWS + 100)
        assert (ward.held() is not None) is fault.holds
        assert ward.delivery.owes("events") or not fault.is_mended
        await mend_and_judge(ward, fault)


async def until_it_shows(ward: Ward, fault: Fault) -> None:
    """The fault has happened, and delivery has taken it for what it is."""
    sick = ward.sick
    if fault.outcome:
        await ward.until(lambda: ward.counted("batches", outcome=fault.outcome) >= 1)
    else:
        await ward.until(lambda: getattr(sick, "under_way", 0) >= 1)
    if fault.opens_breaker:
        await ward.until(lambda: ward.counted("breaker_opened") >= 2)
    if fault.holds:
        await ward.until(ward.held)


async def mend_and_judge(ward: Ward, fault: Fault) -> None:
    """Every row is in the sick sink once, or among the dead letters with a reason; nothing is left."""
    sick: Any = ward.sick
    for behaviour in sick.always.values():
        if isinstance(behaviour, Take) and behaviour.when is not None:
            behaviour.when.set()
    if fault.is_mended:
        sick.always.clear()
    sick.let_go()
    ward.delivery.release("events")
    await ward.until(lambda: not ward.delivery.owes())
    dead = await ward.dead()
    assert len(dead) == fault.dead
    assert all(letter.sink == "sick" and letter.reason for letter in dead)
    lost = {letter.line for letter in dead}
    for table in TABLES:
        expected = [row for row in numbered(ROWS + 100) if table != "events" or row not in lost]
        assert sick.lines(table) == expected
    assert ward.delivery.snapshot().breaker == "closed"
    assert fault.opens_breaker in (None, ward.counted("breaker_opened") > 0)
    assert ward.held() is None
    assert await ward.is_conserved()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", NO_REASON),
        (" \n", NO_REASON),
        (None, NO_REASON),
        (b"bytes", NO_REASON),
        (7, NO_REASON),
        ("half a \ud800 pair and a \0 byte", "half a ? pair and a   byte"),
        ("long" * 100_000, ("long" * 100_000)[:MOST_CHARACTERS]),
    ],
)
async def test_a_reason_of_any_kind_is_kept_as_text_that_every_store_takes(given: Any, kept: str) -> None:
    sick = misbehaving(Take())
    sick.next["events"].append(RejectPositions((1,), given))
    async with Ward(sick) as ward:
        await ward.add(numbered(3))
        await ward.until(lambda: not ward.delivery.owes())
        assert [letter.reason for letter in await ward.dead()] == [kept]
        assert sick.lines("events") == [numbered(3)[0], numbered(3)[2]]


async def test_one_table_that_hangs_for_good_leaves_a_slot_to_the_others() -> None:
    sick = misbehaving(Hang(), "events")
    async with Ward(sick, write_timeout_seconds=0.02) as ward:
        await ward.add(numbered(1))
        await ward.until(lambda: ward.counted("batches", outcome="retried") >= 6)
        assert ward.delivery.snapshot().in_flight_limit == 2
        await ward.add(numbered(ROWS), "logs")
        await ward.until(lambda: not ward.delivery.owes("logs"))
        assert ward.delivery.owes("events")


async def test_a_table_that_is_refused_on_its_own_does_not_narrow_the_whole_sink() -> None:
    sick = misbehaving(Refuse("no such table", is_connection=False), "events")
    async with Ward(sick) as ward:
        await ward.add(numbered(1))
        await ward.until(lambda: ward.counted("batches", outcome="retried") >= 6)
        seen = ward.delivery.snapshot()
        assert (seen.in_flight_limit, seen.breaker, seen.last_error) == (4, "closed", None)
        sick.always["events"] = Refuse("too many parts", 0.001, is_connection=False)
        await ward.until(lambda: ward.delivery.snapshot().in_flight_limit < 4)


async def test_a_sink_that_is_stuck_and_cannot_be_closed_is_tried_again_until_it_can() -> None:
    sick = misbehaving(Hang(is_stubborn=True), "events")
    sick.parallel = 1
    sick.closing_lets_go = False
    async with Ward(sick, write_timeout_seconds=0.05) as ward:
        await ward.add(numbered(5))
        await ward.until(lambda: sick.closes >= 3)
        sick.always.clear()
        sick.closing_lets_go = True
        await ward.until(lambda: not ward.delivery.owes())
        assert sick.lines("events") == numbered(5)


async def test_a_hold_is_seen_everywhere_and_makes_nobody_take_the_collector_out_of_service() -> None:
    sick = misbehaving(RejectRows(lambda _: True), "events")
    async with Ward(sick) as ward:
        await ward.add_to_all(ROWS)
        await ward.until(ward.held)
        reason = f"{ROWS} of the last {ROWS} rows were rejected"
        is_ready, body = ward.health.ready()
        assert is_ready
        assert body["sinks"] == {"sick": [f"events holds: {reason}"]}
        sinks = ward.health.sinks()
        assert (sinks["sick"]["status"], sinks["well"]["status"]) == ("holding", "ok")
        text, _ = await ward.scrape.as_prometheus("")
        assert b'tracker_held{sink="sick",table="events"} 1.0' in text
        assert b'tracker_held{sink="sick",table="logs"} 0.0' in text
        told = await ward.scrape.as_json()
        held = {(one["sink"], one["table"]): one["held"] for one in told["tables"]}
        assert held["sick", "events"] == reason
        assert held["well", "events"] is None
        assert ward.delivery.release("events")
        await ward.until(lambda: not ward.delivery.owes())
        assert len(await ward.dead()) == ROWS
        assert ward.health.ready() == (True, {"ready": True, "reasons": [], "sinks": {}})


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        (Refuse("cannot open /srv/secret.duckdb"), "unavailable", "unavailable"),
        (Hang(), "no answer in time", "unavailable"),
        (Refuse("/srv/secret is read-only", is_connection=False), "events: unavailable", "degraded"),
    ],
)
async def test_the_public_is_told_the_kind_of_trouble_and_an_operator_the_whole(
    fault: Behaviour, kind: str, status: str
) -> None:
    sick = misbehaving(fault, "events")
    async with Ward(sick, write_timeout_seconds=0.02) as ward:
        await ward.add(numbered(1))
        await ward.until(lambda: ward.counted("batches", outcome="retried") >= 3)
        (trouble,) = ward.health.ready()[1]["sinks"]["sick"]
        assert trouble.removeprefix("breaker open: ").removeprefix("breaker half-open: ") == kind
        sinks = ward.health.sinks()["sick"]
        assert sinks["status"] == status
        assert "secret" not in repr((trouble, sinks))
        said = repr((ward.health.ready(with_details=True), ward.health.sinks(with_details=True)))
        assert "secret" in said or "no answer to write within" in said
