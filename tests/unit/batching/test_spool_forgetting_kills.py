"""kill -9 while rows are taken out: what is to go goes, what is to stay stays, and the numbers are exact."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.forgetting import Named, remove
from tests.support.spools import NOW, check, names, open_spool

ROUNDS = 3
WORKER = """
import sys
from pathlib import Path
from tests.support.spools import NOW, entry, open_spool
from tests.support.forgetting import Named, remove, scrub
spool = open_spool(Path(sys.argv[1]), "a", "b", durability="power-loss", chunk_bytes=200)
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    spool.commit([entry(f"r{number + at}") for at in range(12)], NOW)
    print("ack", *(f"r{number + at}" for at in range(12)), flush=True)
    sealed = spool.seal("a", "events", 5, 10_000, NOW)
    if sealed is not None and sealed.rows > 1:
        spool.halve(sealed, NOW)
    gone = [f"r{number + at}" for at in range(0, 12, 3)]
    left = remove(spool, Named(*gone))[1]
    print("gone", *(gone if not left else []), flush=True)
    number += 12
    spool.housekeep(NOW)
    if number % 5 == 0:
        scrub(spool)
"""


def run_and_kill(folder: Path, start: int, steps: int) -> dict[str, set[str]]:
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
    said: dict[str, set[str]] = {"ack": set(), "gone": set()}
    for words in (line.split() for line in lines if line.endswith("\n")):
        said[words[0]].update(words[1:])
    return said


def test_no_kill_brings_a_row_back_or_takes_another(tmp_path: Path) -> None:
    chance = random.Random("forget")
    acknowledged, gone = set[str](), set[str]()
    for number in range(ROUNDS):
        said = run_and_kill(tmp_path, number * 100_000, chance.randrange(1, 30))
        acknowledged |= said["ack"]
        gone |= said["gone"]
        spool = open_spool(tmp_path, "a", "b")
        check(spool)
        spool.close()
    spool = open_spool(tmp_path, "a", "b")
    third = {name for name in acknowledged if int(name[1:]) % 100_000 % 12 % 3 == 0}
    remove(spool, Named(*third))
    for sink in ("a", "b"):
        found = list[str]()
        for sealed in spool.unfinished(sink):
            now = spool.begin(sealed)
            if now is not None:
                found += names(spool.load(now).data)
                spool.finish(now)
        while sealed_now := spool.seal(sink, "events", 1000, 1_000_000, NOW):
            found += names(spool.load(sealed_now).data)
            spool.finish(sealed_now)
        assert len(found) == len(set(found))
        assert acknowledged - third <= set(found)
        assert not gone.intersection(found)
    check(spool)
    assert gone
    spool.close()
