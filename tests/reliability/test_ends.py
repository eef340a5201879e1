"""Every way in which a process ends, under load and by signal: nothing is lost, nothing is doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.campaign import Observer, until
from tests.reliability.clients import TRANSPORTS, Clients
from tests.reliability.endings import QUICK, acknowledge, delivered, eids
from tests.reliability.judge import Verdict, judge
from tests.reliability.stores import duckdb_rows
from tests.support.server import Server, running

END: dict[str, Callable[[Server, random.Random], object]] = {}


def way(end: Callable[[Server, random.Random], object]) -> Callable[[Server, random.Random], object]:
    END[end.__name__] = end
    return end


@way
def sigterm(server: Server, _: random.Random) -> None:
    assert server.stop() == 0


@way
def sigint(server: Server, _: random.Random) -> None:
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0


@way
def closed_terminal(server: Server, _: random.Random) -> None:
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(30) == 0


@way
def two_signals(server: Server, chance: random.Random) -> None:
    server.process.send_signal(signal.SIGTERM)
    time.sleep(chance.uniform(0, 0.3))
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) in (0, 1), "the second signal ends it at once, unless it was over before"


@way
def kill(server: Server, _: random.Random) -> None:
    server.kill()


@way
def kill_while_stopping(server: Server, chance: random.Random) -> None:
    server.process.send_signal(signal.SIGTERM)
    time.sleep(chance.uniform(0, 0.5))
    server.kill()


@way
def sigterm_while_starting(server: Server, chance: random.Random) -> None:
    server.kill()
    server.launch()
    time.sleep(chance.uniform(0.2, 1.5))
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    # Before the first line of ours ran, the interpreter ends as any program does.
    assert server.process.wait(30) in (0, -signal.SIGTERM)
    assert time.monotonic() - began < 6


@way
def sigterm_while_sinks_hang(server: Server, _: random.Random) -> None:
    server.sabotage(sinks={"*": {"behaviour": "hang"}})
    hangs = len(server.misbehaved)
    until(lambda: len(server.misbehaved) > hangs, 30, "no sink hangs")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 6
    server.sabotage()


@way
def kill_during_take_over(server: Server, chance: random.Random) -> None:
    old = server.process
    server.launch("--take-over")
    time.sleep(chance.uniform(0.5, 2.5))
    for process in (old, server.process):
        process.kill()
        process.wait()


def storm(folder: Path, seed: int, ends: list[str], load_seconds: float) -> Verdict:
    """End a server under load in each of these ways, ask each time where every row is, and judge at last."""
    chance = random.Random(seed)
    notes = folder / "clients"
    notes.mkdir()
    with running(folder, faults={}, Batching=QUICK) as server:
        observer = Observer(server, random.Random(seed))
        with Clients(server.url, notes, seed, TRANSPORTS, batch_rows=20), observer.watching():
            for end in ends:
                time.sleep(chance.uniform(0, load_seconds))
                END[end](server, chance)
                observer.look(folder / "data" / "spool")
                server.start_again()
        delivered(server)
        assert server.stop() == 0
        assert "Traceback" not in server.log
        assert not observer.differences, observer.differences[:3]
        return judge(notes, duckdb_rows(server))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_thirty_ends_of_every_kind_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = random.getrandbits(32)
    ends = random.Random(seed).choices(list(END), k=30 - len(END)) + list(END)
    verdict = storm(tmp_path, seed, ends, 1.0)
    print(f"seed {seed}: {len(ends)} ends, {verdict.acknowledged} acknowledged")
    assert verdict.is_clean, (seed, verdict)
    assert verdict.acknowledged > 2000, (seed, verdict)


@pytest.mark.long
def test_a_terminal_that_is_gone_keeps_it_neither_from_serving_nor_from_ending_well(tmp_path: Path) -> None:
    with running(tmp_path, Batching=QUICK) as server:
        assert server.stop() == 0
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "tracker", str(server.config)]
        server.process = subprocess.Popen(command, stdout=writer, stderr=writer)
        os.close(writer)
        until(server.is_alive, 20, "it does not serve without its terminal")
        owed = acknowledge(server, 3)
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(20) == 0
        assert set(owed) <= set(eids(tmp_path / "data" / "tracker.duckdb"))


@pytest.mark.long
def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with running(tmp_path) as server:
            server.process.send_signal(signal.SIGHUP)
            assert acknowledge(server, 1)
            assert "stopping" not in server.log
            assert server.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
