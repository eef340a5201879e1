"""A row that is sent again takes effect once: refused again, killed on the way, also for another sink."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scripted_sink import RejectRows, ScriptedSink
from tests.support.spools import NOW, check, deliver_all, entry, open_spool, seal
from tests.unit.batching.rig import Rig, numbered
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.sealing import read_batches
from tracker.batching.tools import SpoolTools

EVERY = DeadFilter()
POISON = frozenset(numbered(50))

REPLAY = """
import os, signal, sys
from pathlib import Path
from tests.support.spools import NOW, open_spool, seal
from tracker.batching.dead_letters import DeadFilter
spool = open_spool(Path(sys.argv[1]), "a", "b", durability="power-loss")
if sys.argv[2] == "before":
    spool.database.connection().set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), 200)
spool.replay(None, DeadFilter(), NOW)
spool.database.connection().set_progress_handler(None, 0)
print("replayed", flush=True)
sealed = seal(spool)
print(spool.load(sealed).data.decode(), flush=True)
if sys.argv[2] == "delivered":
    spool.finish(sealed)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("moment", "waiting", "dead", "delivered"),
    [("before", 0, 100, 0), ("committed", 100, 0, 0), ("delivered", 0, 0, 100)],
)
def test_a_replay_that_is_killed_is_done_or_not_and_never_half(
    tmp_path: Path, moment: str, waiting: int, dead: int, delivered: int
) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry(number) for number in range(100)], NOW)
    spool.reject(seal(spool), dict.fromkeys(range(100), "bad"), NOW)
    spool.close()
    killed = subprocess.run(
        [sys.executable, "-c", REPLAY, str(tmp_path), moment],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.startswith(b"replayed") == (moment != "before")

    spool = open_spool(tmp_path, "a", "b")
    check(spool)
    (total,) = [one for one in spool.totals() if one.sink == "a"]
    assert (total.waiting, total.dead, total.delivered, total.difference) == (waiting, dead, delivered, 0)
    sent = killed.stdout.partition(b"\n")[2].strip()
    for batch in spool.unfinished("a"):
        assert batch.is_repeat
        assert spool.load(batch).data.strip() == sent, "sent again with other bytes"
        spool.finish(batch)
    spool.replay(None, EVERY, NOW)
    assert len(deliver_all(spool)) == dead
    assert deliver_all(spool, "b") == [str(number) for number in range(100)]
    check(spool)
    spool.close()


def test_a_row_that_another_sink_has_goes_only_to_the_one_that_refused_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a", "b")
    spool.commit([entry("x")], NOW)
    assert deliver_all(spool, "b") == ["x"]
    spool.reject(seal(spool), {0: "bad"}, NOW)
    (again,) = spool.replay(None, EVERY, NOW)
    assert (again.sink, spool.seal("b", "events", 10, 1000, NOW)) == ("a", None)
    assert deliver_all(spool) == ["x"]
    assert {one.sink: one.delivered for one in spool.totals()} == {"a": 1, "b": 1}
    spool.close()


def test_a_replayed_batch_is_known_as_one_after_a_restart_and_after_a_split(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(number) for number in range(4)], NOW)
    spool.reject(seal(spool), dict.fromkeys(range(4), "bad"), NOW)
    (again,) = spool.replay(None, EVERY, NOW)
    assert again.is_replay
    assert all(half.is_replay for half in spool.halve(seal(spool), NOW))
    spool.close()
    spool = open_spool(tmp_path, "a")
    assert [held.sealed.is_replay for held in spool.ask(read_batches).values()] == [True, True]
    spool.close()


async def test_a_row_that_is_refused_again_is_one_dead_letter_with_its_new_reason() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectRows(POISON.__contains__)
    async with Rig(sink) as rig:
        await rig.add(numbered(100))
        await rig.until_empty()
        before = await rig.dead()
        assert await rig.batcher.replay(None, EVERY) == 50
        await rig.until_empty()
        after = await rig.dead()
        assert [letter.line for letter in after] == [letter.line for letter in before] == numbered(50)
        assert not {letter.id for letter in after} & {letter.id for letter in before}
        assert {letter.batch for letter in after} != {letter.batch for letter in before}
        (total,) = await rig.batcher.totals()
        assert (total.delivered, total.dead, total.difference) == (50, 50, 0)
        sink.always.clear()
        assert await rig.batcher.replay(None, EVERY) == 50
        await rig.until_empty()
        assert sorted(sink.lines("events")) == sorted(numbered(100))
        replayed = rig.metrics.registry.get_sample_value("tracker_dead_letters_replayed_total")
        assert replayed == 100


async def test_dead_letters_that_are_refused_again_never_hold_the_table_that_new_rows_go_by() -> None:
    sink = ScriptedSink()
    sink.always["events"] = RejectRows(lambda line: line.endswith(b' "bad"}'))
    async with Rig(sink) as rig:
        for start in range(0, 2000, 20):  # few enough at a time that nothing holds
            bad = [b'{"n": %d, "x": "bad"}' % number for number in range(start, start + 20)]
            await rig.add([*bad, *numbered(400, start * 1000)])
            await rig.until_empty()
        assert len(await rig.dead()) == 2000
        assert await rig.batcher.replay(None, EVERY) == 2000
        await rig.add(numbered(10, 5_000_000))
        await rig.until_empty()
        assert rig.table().held is None
        assert len(await rig.dead()) == 2000
        assert sink.lines("events")[-10:] == numbered(10, 5_000_000)
        verdicts = await rig.batcher.read(rig.spool.verdicts, sink.name, "events")
        assert sum(rejected for _, rejected in verdicts.runs) < 1000, "a start would hold the table for them"


@pytest.mark.long
async def test_a_hundred_thousand_dead_letters_are_counted_and_sent_again_in_bounded_steps(
    tmp_path: Path,
) -> None:
    spool = open_spool(tmp_path, "a")
    for start in range(0, 100_000, 20_000):
        spool.commit([entry(number) for number in range(start, start + 20_000)], NOW)
        spool.reject(seal(spool, size=10**9), dict.fromkeys(range(20_000), f"bad {start}"), NOW)
    tools = SpoolTools(spool, lambda: NOW)
    told = await tools.dead.ls("", "", "", 10)
    assert (told["total"], told["shown"]) == (100_000, 10)
    assert [one["rows"] for one in told["summary"]] == [100_000]
    parts = [part async for part in tools.dead.export("", "", "")]
    assert parts[-1] == {"rows": 100_000}
    assert max(len(part) for part in parts if isinstance(part, bytes)) < 1024 * 1024
    assert (await tools.dead.replay(None, "", "", ""))["done"] == 100_000
    assert max(held.sealed.rows for held in spool.memory.held.values()) == 1000
    assert sorted(map(int, deliver_all(spool))) == list(range(100_000))
    check(spool)
    spool.close()
