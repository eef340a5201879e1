"""kill -9 at random moments: what a process said was stored is there, once, with its bookkeeping in order."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.spools import NOW, check, names, open_spool
from tracker.batching.dead_letters import DeadFilter

ROUNDS = 8

WORKER = """
import sys
from pathlib import Path
from tests.support.spools import NOW, client_id, entry, names, open_spool
spool = open_spool(Path(sys.argv[1]), "a", durability="power-loss")
number = int(sys.argv[2])
print("ready", flush=True)
open_batches = spool.unfinished("a")
while True:
    spool.commit([entry(number + at, client_id=client_id(number + at)) for at in range(5)], NOW)
    print("ack", *range(number, number + 5), flush=True)
    number += 5
    sealed = spool.seal("a", "events", 7, 10_000, NOW)
    if sealed is not None:
        left = spool.reject(sealed, {0: "bad"}, NOW) if number % 3 == 0 else sealed
        halves = spool.halve(left, NOW) if left is not None and left.rows > 1 else ()
        for half in halves[:1]:
            print(*names(spool.load(half).data), flush=True)
            spool.finish(half)
    spool.housekeep(NOW)
"""


def _run_and_kill(folder: Path, start: int, steps: int) -> tuple[set[str], set[str]]:
    """What was acknowledged, and what was sent, before the kill."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder), str(start)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    lines = [worker.stdout.readline() for _ in range(steps)]
    worker.send_signal(signal.SIGKILL)
    lines += worker.stdout.read().splitlines(keepends=True)
    assert worker.wait() == -signal.SIGKILL
    worker.stdout.close()
    whole = [line.split() for line in lines if line.endswith("\n")]
    acknowledged = {name for words in whole if words[0] == "ack" for name in words[1:]}
    return acknowledged, {name for words in whole if words[0] != "ack" for name in words}


def test_nothing_acknowledged_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("SEED", "spool"))
    acknowledged, sent, repeats = set[str](), set[str](), 0
    for number in range(ROUNDS):
        new, done = _run_and_kill(tmp_path, number * 1_000_000, chance.randrange(1, 50))
        acknowledged |= new
        sent |= done
        spool = open_spool(tmp_path, "a")
        check(spool)
        repeats += len(spool.unfinished("a"))
        spool.close()
    assert repeats > ROUNDS
    assert sent
    _judge(tmp_path, acknowledged, sent)


def _judge(folder: Path, acknowledged: set[str], sent: set[str]) -> None:
    """Every acknowledged row waits, is dead or was sent; none waits or is dead twice."""
    spool = open_spool(folder, "a")
    batches = spool.unfinished("a")
    while sealed := spool.seal("a", "events", 100, 100_000, NOW):
        batches.append(sealed)
    waiting = [name for sealed in batches for name in names(spool.load(sealed).data)]
    letters = [spool.dead_letter(letter.id) for letter in spool.dead_letters(DeadFilter(), limit=-1)]
    dead = [names(letter.line)[0] for letter in letters if letter and letter.line]
    assert dead
    assert len({*waiting, *dead}) == len(waiting) + len(dead)
    assert acknowledged <= {*waiting, *dead, *sent}
    (total,) = spool.totals()
    assert (total.waiting, total.dead, total.difference) == (len(waiting), len(dead), 0)
    assert total.accepted - len(acknowledged) <= 5 * ROUNDS  # a group whose answer the kill cut off
    check(spool)
    spool.close()
