"""Whether a cluster keeps what a tracker acknowledged while one of its servers is gone: the trial itself.

The server that is written through is stopped under load and started again; every event that was
acknowledged must be found once, asked from each server. `trial_parts` has the real tracker and servers.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cluster.asking import until

PER_REQUEST = 50


class Servers(Protocol):
    """The cluster on trial."""

    @property
    def names(self) -> Sequence[str]:
        """Its servers; the first is the one that is written through and stopped."""

    @property
    def copies(self) -> int:
        """How many servers have each row."""

    def ids(self, name: str, event: str) -> Counter[str]:
        """Ids of the events of this name, each as often as that server has it. Raises NoAnswer."""

    def stop(self, name: str) -> None:
        """Stop it."""

    def start(self, name: str) -> None:
        """Start it again, and wait until it answers."""


class Collector(Protocol):
    """The tracker that writes to it."""

    def send(self, event: str, ids: list[str]) -> bool:
        """Whether it acknowledged these events."""


@dataclass
class Load:
    """Requests one after another, from a thread, until told to stop; remembers what was acknowledged."""

    collector: Collector
    event: str
    acknowledged: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        """Begin."""
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.is_set():
            self.once()

    def once(self) -> None:
        """One request."""
        ids = [str(uuid.uuid4()) for _ in range(PER_REQUEST)]
        self.sent.update(ids)
        if self.collector.send(self.event, ids):
            self.acknowledged += ids
        else:
            self._ended.wait(0.2)


def verdict(load: Load, found: Counter[str], expected: Sequence[str] | None = None) -> str | None:
    """What is wrong with what a server has; None when each acknowledged or `expected` event is there once."""
    expected = load.acknowledged if expected is None else expected
    lost = sum(one not in found for one in expected)
    doubled = sum(count > 1 for count in found.values())
    foreign = len(found.keys() - load.sent)
    if lost or doubled or foreign:
        return f"{lost} lost, {doubled} doubled, {foreign} never sent, of {len(expected)}"
    return None


def judge(servers: Servers, load: Load, load_seconds: float, arrive_seconds: float) -> int:
    """The whole trial, told line by line; 0 when nothing was lost or doubled."""
    writer, *others = servers.names
    load.once()
    before = tuple(load.acknowledged)
    if not _all_there(servers, servers.names, load, arrive_seconds, f"written through {writer}"):
        return 1
    with load:
        threading.Event().wait(load_seconds / 2)
        servers.stop(writer)
        print(f"{writer} stopped under load")
        threading.Event().wait(load_seconds)
    expected = _expected_without_one(servers.copies, before, load.acknowledged)
    if expected and not _all_there(servers, others, load, arrive_seconds, f"{writer} still gone", expected):
        return 1
    servers.start(writer)
    print(f"{writer} started again")
    return 0 if _all_there(servers, servers.names, load, arrive_seconds, "all back") else 1


def _expected_without_one(copies: int, before: Sequence[str], all_of_them: Sequence[str]) -> Sequence[str]:
    """What the others must have while one server is gone.

    Of three copies two are left, which is most of them, and writing goes on. Of two one is left, which can be
    asked, and what is new waits in the tracker. Without copies a part of the rows is away and no question is
    answered.
    """
    if copies < 2:
        return ()
    return all_of_them if copies > 2 else before


def _all_there(
    servers: Servers,
    names: Sequence[str],
    load: Load,
    seconds: float,
    when: str,
    expected: Sequence[str] | None = None,
) -> bool:
    """Print what each server has, after having waited for it."""
    is_right = True
    for name in names:
        wrong: list[str | None] = [None]

        def is_so(name: str = name, wrong: list[str | None] = wrong) -> bool:
            wrong[0] = verdict(load, servers.ids(name, load.event), expected)
            return wrong[0] is None

        trouble = until(is_so, seconds)
        count = len(load.acknowledged if expected is None else expected)
        told = f"all {count} once" if trouble is None else f"WRONG: {wrong[0] or trouble}"
        print(f"{when}: {name} has {told}")
        is_right = is_right and trouble is None
    return is_right
