"""The rows of a table that wait for one sink: what was acknowledged and it does not have."""

import random
from pathlib import Path

from tests.support.spools import NOW, entry, names, open_spool, seal
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.running import directly
from tracker.batching.spool import Spool
from tracker.batching.waiting_table import WaitingTable

LINKS = "redirects"


def commit(spool: Spool, *numbers: object, table: str = LINKS) -> None:
    spool.commit([entry(number, table) for number in numbers], NOW)


async def waiting(spool: Spool, sink: str = "a", *needles: bytes) -> list[str]:
    pieces = WaitingTable(spool, directly, (sink,) if sink else ()).lines(LINKS, needles)
    return [name async for lines in pieces for name in names(b"\n".join(lines))]


async def test_rows_wait_from_their_commit_until_they_are_delivered(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    assert await WaitingTable(spool, directly, ("a",)).is_empty(LINKS)
    commit(spool, 1, 2)
    commit(spool, "other", table="events")
    commit(spool, 3)
    assert await waiting(spool) == ["1", "2", "3"]
    sealed = seal(spool, rows=2, table=LINKS)
    assert await waiting(spool) == ["1", "2", "3"]
    spool.finish(sealed)
    assert await waiting(spool) == ["3"]
    assert not await WaitingTable(spool, directly, ("a",)).is_empty(LINKS)
    spool.finish(seal(spool, table=LINKS))
    assert await waiting(spool) == []
    assert await WaitingTable(spool, directly, ("a",)).is_empty(LINKS)
    spool.close()


async def test_each_sink_has_its_own_and_without_one_all_count(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    commit(spool, 1, 2)
    spool.finish(seal(spool, "a", rows=1, table=LINKS))
    assert (await waiting(spool, "a"), await waiting(spool, "b")) == (["2"], ["1", "2"])
    assert await waiting(spool, "") == ["1", "2"]
    assert await waiting(spool, "unknown") == []
    spool.close()


async def test_what_waits_is_there_after_a_restart_also_when_no_sink_was_ever_known(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    commit(spool, 1)
    spool.close()
    spool = open_spool(tmp_path)
    assert await waiting(spool, "") == ["1"]
    spool.close()


async def test_a_dead_letter_does_not_wait_until_it_is_sent_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    commit(spool, 1, 2, 3)
    spool.reject(seal(spool, table=LINKS), {1: "no"}, NOW)
    assert await waiting(spool) == ["1", "3"]
    (sealed,) = spool.replay(None, DeadFilter(), NOW)
    assert await waiting(spool) == ["1", "3", "2"]
    assert not await WaitingTable(spool, directly, ("a",)).is_empty(LINKS)
    spool.finish(sealed)
    assert await waiting(spool) == ["1", "3"]
    spool.close()


async def test_with_needles_only_lines_that_have_one_are_read(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    commit(spool, *range(100))
    assert await waiting(spool, "a", b'"7"', b'"42"', b'"x"') == ["7", "42"]
    spool.close()


async def test_more_than_one_step_is_read_to_its_end(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", chunk_bytes=4096)
    for start in range(0, 600, 2):
        commit(spool, f"{start:0>4000}", f"{start + 1:0>4000}")
    assert [int(name) for name in await waiting(spool)] == list(range(600))
    spool.close()


async def test_whatever_is_sealed_and_finished_in_whatever_order_nothing_is_missing(tmp_path: Path) -> None:
    chance = random.Random(7)
    spool = open_spool(tmp_path, "a")
    expected: list[str] = []
    for step in range(60):
        added = [f"{step}-{number}" for number in range(chance.randint(1, 5))]
        commit(spool, *added)
        expected += added
        if chance.random() < 0.5:
            sealed = seal(spool, rows=chance.randint(1, 6), table=LINKS)
            gone = names(spool.load(sealed).data)
            spool.finish(sealed)
            expected = [name for name in expected if name not in gone]
        assert await waiting(spool) == expected
    spool.close()
