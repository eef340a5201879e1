"""How many dead letters are kept and for how long: the oldest go first, counted, nothing is refused."""

import asyncio
import logging
from pathlib import Path

import pytest

from tests.support.spools import NOW, check, entry, names, open_spool, seal
from tracker.batching import worker
from tracker.batching.dead_letters import EXPIRED, NO_ROOM, REPLAY_BYTES, DeadFilter, summarise
from tracker.batching.dead_limits import STEP_ROWS
from tracker.batching.spool import Spool
from tracker.batching.spool_values import KeptDead
from tracker.batching.worker import Worker

LINE = len(b'{"n":"000"}')
DAY = 86_400.0


def put_aside(spool: Spool, first: int, last: int, now: float = NOW, table: str = "events") -> None:
    """Rows of these numbers are accepted and refused."""
    spool.commit([entry(f"{number:03}", table) for number in range(first, last + 1)], now)
    spool.reject(seal(spool, table=table), dict.fromkeys(range(last + 1 - first), "bad"), now)


def tidied(spool: Spool, now: float = NOW) -> int:
    """Housekeep until there is nothing to do; how many steps that took."""
    steps = 1
    while spool.housekeep(now):
        steps += 1
    check(spool)
    return steps


def left(spool: Spool) -> list[str]:
    """The names of what is still there, oldest first."""
    letters = [spool.dead_letter(one.id) for one in spool.dead_letters(DeadFilter(), -1)]
    return [names(letter.line)[0] for letter in letters if letter and letter.line]


def dropped(spool: Spool) -> dict[str, int]:
    """What conservation says was dropped, over all tables."""
    found: dict[str, int] = {}
    for total in spool.totals():
        assert total.difference == 0
        for reason, rows in total.dropped.items():
            found[reason] = found.get(reason, 0) + rows
    return found


def test_what_is_too_old_goes_and_what_came_later_stays(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", dead_letters=KeptDead(max_age_seconds=90 * DAY))
    put_aside(spool, 0, 9)
    put_aside(spool, 10, 14, NOW + DAY)
    tidied(spool, NOW + 90 * DAY)
    assert (len(left(spool)), dropped(spool)) == (15, {})
    tidied(spool, NOW + 90.5 * DAY)
    assert left(spool) == ["010", "011", "012", "013", "014"]
    assert dropped(spool) == {EXPIRED: 10}
    assert spool.state().dead_bytes == 5 * LINE
    spool.close()


def test_what_is_too_much_goes_oldest_first_whatever_its_table(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", dead_letters=KeptDead(max_bytes=7 * LINE + 1))
    put_aside(spool, 0, 4)
    put_aside(spool, 5, 9, table="hosts")
    put_aside(spool, 10, 11)
    tidied(spool)
    assert left(spool) == ["005", "006", "007", "008", "009", "010", "011"]
    assert dropped(spool) == {NO_ROOM: 5}
    spool.close()


def test_a_limit_that_was_lowered_holds_after_the_next_start_and_the_count_stays(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    put_aside(spool, 0, 9)
    tidied(spool)
    spool.close()
    spool = open_spool(tmp_path, "a", dead_letters=KeptDead(max_bytes=4 * LINE))
    tidied(spool)
    spool.close()
    spool = open_spool(tmp_path, "a")
    assert (len(left(spool)), dropped(spool)) == (4, {NO_ROOM: 6})
    spool.close()


def test_many_go_in_steps_that_are_short_in_rows_and_bytes(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", dead_letters=KeptDead(max_bytes=1))
    put_aside(spool, 0, 3 * STEP_ROWS)
    assert tidied(spool) > 4
    spool.commit([entry("x" * (REPLAY_BYTES // 2)) for _ in range(8)], NOW)
    spool.reject(seal(spool, size=10**8), dict.fromkeys(range(8), "bad"), NOW)
    assert tidied(spool) > 8
    assert dropped(spool) == {NO_ROOM: 3 * STEP_ROWS + 9}
    spool.close()


def test_a_flood_of_dead_letters_never_makes_the_spool_refuse(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", max_bytes=130 * LINE, dead_letters=KeptDead(max_bytes=50 * LINE))
    for first in range(0, 1000, 100):
        put_aside(spool, first, first + 99)
        assert spool.state().dead_bytes >= 100 * LINE, "it was no flood"
        assert not spool.state().is_full
        tidied(spool)
        assert spool.state().dead_bytes <= 50 * LINE
    assert spool.ask(summarise) == {("a", "events"): (50, 50 * LINE)}
    assert dropped(spool) == {NO_ROOM: 950}
    spool.close()


def test_that_some_were_dropped_is_said_once_a_minute_with_their_number_and_nothing_of_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(tmp_path, "a", dead_letters=KeptDead(max_bytes=1))
    for second in range(5):
        put_aside(spool, second * 10, second * 10 + 9, NOW + second)
        tidied(spool, NOW + second)
    tidied(spool, NOW + 61)
    spool.close()
    said = [record for record in caplog.records if record.message == "dead letters dropped"]
    assert [record.__dict__["fields"] for record in said] == [{NO_ROOM: 10}, {NO_ROOM: 40}]
    assert {record.levelno for record in said} == {logging.WARNING}


async def test_what_grows_old_goes_also_while_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_CHORES_EVERY_SECONDS", 0.01)
    loop, happened, chores = asyncio.get_running_loop(), asyncio.Event(), 0

    def chore() -> bool:
        nonlocal chores
        chores += 1
        if chores == 3:
            loop.call_soon_threadsafe(happened.set)
        return False

    idle = Worker("idle", chore)
    async with asyncio.timeout(10):
        await happened.wait()
    idle.stop()
