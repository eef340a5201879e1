"""Rows that a real store can never take: all others are stored, exactly these are kept, in few inserts."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import event, line
from tests.support.ward import Ward
from tracker.errors import BatchRejected, RowsRejected
from tracker.events import Batch
from tracker.sinks.base import Sink
from tracker.sinks.registry import SinkSettings, make_sink


class Poisoned:
    """A real sink behind which some rows can never be stored; counts the inserts."""

    parallel = 1
    rest_seconds = 0.0

    def __init__(self, inner: Sink, *, is_named: bool) -> None:
        self.inner = inner
        self.name = inner.name
        self.open, self.check, self.close = inner.open, inner.check, inner.close
        self.inserts = 0
        self._is_named = is_named

    async def write(self, batch: Batch) -> None:
        self.inserts += 1
        bad = [at for at, row in enumerate(batch.data.splitlines()) if b"POISON" in row]
        if bad and self._is_named:
            raise RowsRejected(dict.fromkeys(bad, "poison"))
        if bad:
            raise BatchRejected("poison somewhere in here")
        await self.inner.write(batch)


async def swallow(folder: Path, rows: int, bad: set[int], *, is_named: bool = False) -> int:
    """Rows with poison among them, through the real store: which are kept aside, how many inserts."""
    inner = make_sink(SinkSettings("sick", "duckdb", str(folder / "db"), handover=folder / "handover"))
    sick = Poisoned(inner, is_named=is_named)
    lines = [line(event(ename="POISON" if n in bad else "good", vp_w=n)) for n in range(rows)]
    async with Ward(sick, healthy=(), write_timeout_seconds=60.0) as ward:
        await ward.add(lines)
        await ward.until(lambda: not ward.delivery.owes(), seconds=100)
        store: Any = inner
        answer = await store.query("SELECT vp_w, ename FROM events", max_rows=2 * rows, timeout_seconds=60)
        assert sorted(answer.rows) == [[n, "good"] for n in range(rows) if n not in bad]
        dead = await ward.dead()
        assert [letter.line for letter in dead] == [lines[n] for n in sorted(bad)]
        assert {letter.reason for letter in dead} == {"poison" if is_named else "poison somewhere in here"}
        assert await ward.is_conserved()
    return sick.inserts


def places(rows: int, count: int) -> set[int]:
    """Random ones; a failing test shows them."""
    return set(random.sample(range(rows), count))


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.long
async def test_a_real_store_gets_all_but_the_poison_within_the_bound_of_inserts(
    tmp_path: Path, count: int
) -> None:
    bad = places(1_000, count)
    assert 1 < await swallow(tmp_path, 1_000, bad) <= 2 * count * math.log2(1_000) + 1


async def test_named_poison_costs_a_real_store_one_more_insert(tmp_path: Path) -> None:
    assert await swallow(tmp_path, 2_000, places(2_000, 50), is_named=True) == 2


@pytest.mark.long
@pytest.mark.parametrize("count", [1, 2, 7, 50])
async def test_of_ten_thousand_rows_a_real_store_gets_all_but_the_poison(tmp_path: Path, count: int) -> None:
    bad = places(10_000, count)
    inserts = await swallow(tmp_path, 10_000, bad)
    print(f"{count} poison rows of 10,000: {inserts} inserts")
    assert 1 < inserts <= 2 * count * math.log2(10_000) + 1
