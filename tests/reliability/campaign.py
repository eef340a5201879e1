"""A campaign: a real server under the load of several clients is killed again and again, then judged.

A kill comes at a random moment or, by an injected exit, at a named point of a batch's life. Between kills the
server is asked at random moments where every row is, and so is a copy of the spool right after each kill.
"""

import contextlib
import json
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from tests.reliability.clients import TRANSPORTS, Client, Clients
from tests.reliability.judge import Verdict, judge
from tests.reliability.records import RECORDS, LinkClient, noted
from tests.reliability.stores import STORES, Prepared, dead_events
from tests.support.accounts import account
from tests.support.sabotage import CRASH_POINTS
from tests.support.server import Server, running
from tracker.batching.spool import Spool

RANDOM = "random moment"
POISON = "poison, then a random moment"
BROKEN = "broken schema, then a random moment"
STORE_DIES = "the store is killed, then a random moment"
RECOVERY = tuple(point for point in CRASH_POINTS if point.startswith("recovery-"))
SPLIT = ("halved", "put-aside")
POISONED = {"sinks": {"*": {"behaviour": "reject-batch", "tables": ["events"]}}}
"""The store refuses batches with a poisoned row, so that they are split down to it."""
POINT_SECONDS = 30.0
DRAIN_SECONDS = 90.0
REFUSING = {"sinks": {"*": {"behaviour": "reject-all", "tables": ["events"]}}}
QUICK_SECONDS = 0.05
STORE_RESTS_SECONDS = 0.5


@dataclass
class Report:
    """What a campaign came to."""

    seed: int
    verdict: Verdict
    kills: Counter[str]
    """Where the process ended, counted."""
    questions: int
    """How often conservation was asked; it always held."""
    seconds: float

    def __str__(self) -> str:
        points = ", ".join(f"{point} {times}" for point, times in sorted(self.kills.items()))
        wrong = self.verdict
        return (
            f"seed {self.seed}: {self.kills.total()} kills in {self.seconds:.0f} s ({points});\n"
            f"{wrong.acknowledged} acknowledged, {len(wrong.missing)} lost, {len(wrong.doubled)} doubled,"
            f" {len(wrong.altered)} altered, {len(wrong.made_up)} never sent,"
            f" {len(wrong.misplaced)} misplaced, {len(wrong.miscounted)} sums wrong;"
            f" conservation asked {self.questions} times; {dict(wrong.acknowledged_in)}"
        )


@dataclass
class Observer:
    """Asks the running server at random moments whether every row is accounted for."""

    server: Server
    chance: random.Random
    questions: int = 0
    differences: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until told to stop; a server that was just killed does not answer."""
        while not self._stop.wait(self.chance.uniform(0.02, 0.4)):
            self.ask()

    def ask(self) -> None:
        """Once, now."""
        with contextlib.suppress(OSError, ValueError):
            status, body = self.server.get("/metrics?format=json")
            if status == 200:
                self.note(json.loads(body)["conservation"]["tables"])

    def note(self, totals: Sequence[dict[str, object]]) -> None:
        """What the numbers are now."""
        self.questions += 1
        self.differences += [str(total) for total in totals if total["difference"]]

    def look(self, spool: Path) -> None:
        """Read a copy of the spool of a process that was killed."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "spool"
            shutil.copytree(spool, copy)
            opened = Spool.open(copy, durability="process-crash")
            try:
                assert not list(copy.glob("*.damaged*")), "a kill left a damaged spool behind"
                self.note([{"table": t.table, "difference": t.difference} for t in opened.totals()])
            finally:
                opened.close()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Run in a thread of its own meanwhile."""
        thread = threading.Thread(target=self.run, name="observer")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


class Campaign:
    """Kills of one server, by a schedule that a seed decides. `without` switches mechanisms off."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        store: str = "duckdb",
        transports: Sequence[str] = (*TRANSPORTS, *RECORDS),
        without: Sequence[str] = (),
        load_seconds: float = 0.5,
        batch_seconds: float = QUICK_SECONDS,
        batch_rows: int = 50,
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.kills: Counter[str] = Counter()
        self._store = STORES[store]
        self._transports = transports
        self._without = list(without)
        self._load_seconds = load_seconds
        self._batching = {
            "events": {"Strategy": "hybrid", "MaxBatchTime": f"{batch_seconds}s"},
            "default": {"Strategy": "hybrid", "MaxBatchTime": "0.1s"},
        }
        self._chance = random.Random(seed)
        self._batch_rows = batch_rows
        self._notes = folder / "clients"
        self._notes.mkdir()

    def run(self, kills: int, points: Sequence[str] | None = None) -> Report:
        """At least so many kills: at these points in turn, or (None) half at random moments and half at all
        points; then recover, and judge. Raises AssertionError when a point is not reached."""
        started = time.monotonic()
        with self._store.prepare(self.folder) as store, self._running(store) as server:
            observer = Observer(server, random.Random(self.seed))
            clients = self._clients(server)
            with clients, observer.watching():
                for point in self._schedule(kills, points, store):
                    self._kill(server, clients, store, point)
                    observer.look(server.folder / "data" / "spool")
                    self._start(server, observer)
            self._drain(server)
            if store.process is not None:
                store.process.kill()
            stored = list(self._store.rows(server))
            verdict = judge(self._notes, stored, dead_events(server))
            paid = self._store.money(server)
        worth = noted(self._notes, {row.eid for row in stored})
        wrong = sorted(name for name in paid.keys() | worth if paid.get(name) != worth.get(name))
        verdict = replace(verdict, miscounted=tuple(wrong))
        assert not observer.differences, f"rows unaccounted for: {observer.differences[:3]}"
        return Report(self.seed, verdict, self.kills, observer.questions, time.monotonic() - started)

    def _running(self, store: Prepared) -> AbstractContextManager[Server]:
        faults = {"without": self._without}
        return running(self.folder, faults=faults, Batching=self._batching, Notify=[store.notify])

    def _clients(self, server: Server) -> Clients:
        others = dict[str, Callable[..., Client]](RECORDS)
        if "links" in self._transports:
            others["links"] = partial(LinkClient, authorization=account(server))
        return Clients(server.url, self._notes, self.seed, self._transports, self._batch_rows, others)

    def _schedule(self, kills: int, points: Sequence[str] | None, store: Prepared) -> Iterator[str]:
        turn = 0
        while self.kills.total() < kills:
            if points is None and turn % 2:
                yield STORE_DIES if store.process is not None and turn % 4 == 1 else RANDOM
            else:
                choice = points or CRASH_POINTS
                yield choice[(turn // (2 if points is None else 1)) % len(choice)]
            turn += 1

    def _kill(self, server: Server, clients: Clients, store: Prepared, point: str) -> None:
        """Have the server end, at this point or at a random moment; a recovery is killed after a kill."""
        if point in DISTURBANCES:
            DISTURBANCES[point](server, clients)
            if point == STORE_DIES:
                self._kill_store(store)
            time.sleep(self._chance.uniform(0.05, 2 * self._load_seconds))
            server.kill()
            self.kills[point] += 1
            return
        first = "written-not-acknowledged" if point in RECOVERY else point
        time.sleep(self._chance.uniform(0, self._load_seconds))
        self._sabotage(server, crash_at=first, nth=self._chance.randint(1, 3))
        if point in SPLIT:
            self._sabotage(server, crash_at=first, nth=1)
            clients.poison()
        self._await_end(server, first)
        if point in RECOVERY:
            self._sabotage(server, crash_at=point, nth=1)
            server.launch()
            self._await_end(server, point)

    def _kill_store(self, prepared: Prepared) -> None:
        """kill -9 of the store's own process, now or around its next insert; it is away for a while."""
        store = prepared.process
        assert store is not None, "this store has no process of its own"
        how = self._chance.choice(("now", "die", "die-after"))
        if how == "now":
            store.kill()
        else:
            store.wrong({"does": how})
            until(lambda: not store.is_alive(), POINT_SECONDS, f"the store did not {how}")
        store.kill()
        store.wrong()
        time.sleep(self._chance.uniform(0, STORE_RESTS_SECONDS))
        store.start()

    def _await_end(self, server: Server, point: str) -> None:
        before = self.kills.total() - sum(self.kills[name] for name in DISTURBANCES)
        server.process.wait(POINT_SECONDS)
        assert server.crashes[before:] == [point], f"ended elsewhere than {point}: {server.log[-2000:]}"
        self.kills[point] += 1

    def _start(self, server: Server, observer: Observer) -> None:
        self._sabotage(server)
        server.start_again()
        observer.ask()

    def _sabotage(self, server: Server, **crash: object) -> None:
        server.sabotage(**POISONED, without=self._without, **crash)

    def _drain(self, server: Server) -> None:
        """Let everything be delivered, then stop."""
        try:
            until(lambda: not waiting_rows(server), DRAIN_SECONDS, "rows still wait")
        except AssertionError as failure:
            health = server.get("/sink-health")[1].decode()
            raise AssertionError(f"rows still wait: {health}\n{server.log[-4000:]}") from failure
        assert server.stop() == 0


def _send_poison(server: Server, clients: Clients) -> None:
    """A split begins."""
    before = len(server.misbehaved)
    server.sabotage(**POISONED)
    clients.poison()
    until(lambda: len(server.misbehaved) > before, POINT_SECONDS, "no batch was refused")


def _break_schema(server: Server, clients: Clients) -> None:
    """A store refuses every row until the table holds, or without a hold for good."""
    before = len(server.misbehaved)
    server.sabotage(**REFUSING)
    until(lambda: len(server.misbehaved) > before, POINT_SECONDS, "no batch was refused")


DISTURBANCES: Mapping[str, Callable[[Server, Clients], None]] = MappingProxyType(
    {
        RANDOM: lambda *_: None,
        POISON: _send_poison,
        BROKEN: _break_schema,
        STORE_DIES: lambda *_: None,
    }
)
"""What goes before a kill at a random moment."""


def until(is_true: Callable[[], bool], seconds: float, failure: str) -> None:
    """Wait for something. Raises AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, failure
        time.sleep(0.05)


def waiting_rows(server: Server) -> int:
    """Rows that are not delivered yet, of every table."""
    _, body = server.get("/metrics?format=json")
    return sum(table["waiting"] for table in json.loads(body)["conservation"]["tables"])
