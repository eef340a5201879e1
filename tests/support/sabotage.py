"""The real server with faults: `python -m tests.support.sabotage config.json` wraps a few parts and serves.

`tracker/` itself has no hooks for tests. What to do wrong stands in the JSON file that $SABOTAGE_FILE names;
it is read again whenever it changed, so a test can change it while the server runs. Its keys:

    crash_at, nth   kill -9 itself the nth time a point of a batch's life is reached, after a line in
                    crashes.txt
    sinks           sink's name or "*" -> {behaviour, seconds, tables, times}: how its `write` misbehaves;
                    each time adds `sink table behaviour` to misbehaved.txt
    without         mechanisms that are switched off: a harness that finds nothing wrong then is worth nothing
"""

import asyncio
import functools
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import uuid_utils

from tracker import app, cli
from tracker.batching.batcher import Batcher
from tracker.batching.lane import Lane
from tracker.batching.rejections import Rejections
from tracker.batching.spool import Spool
from tracker.errors import BatchRejected, RowsRejected, SinkUnavailable
from tracker.events import Batch, Entry
from tracker.sinks.base import Sink
from tracker.sinks.registry import make_sink

FILE = "SABOTAGE_FILE"
CRASHES, MISBEHAVED = "crashes.txt", "misbehaved.txt"
POISON = b"POISON"

CRASH_POINTS = (
    "before-commit",
    "committed",
    "sealed",
    "handed-to-sink",
    "written-not-acknowledged",
    "acknowledged-not-removed",
    "halved",
    "put-aside",
    "recovery-opened",
    "recovery-attached",
    "recovery-resent",
)
"""Points of a batch's life; those of the recovery are passed during the start after a kill."""

MECHANISMS = ("commit-before-answer", "resend", "ledger", "keys", "split", "hold")


class Faults:
    """What the file says now. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._said: Mapping[str, Any] = {}
        self._counts: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        """A point of a batch's life: the process ends here if the file says so."""
        with self._lock:
            said = self._now()
            if said.get("crash_at") != point:
                return
            self._counts[point] += 1
            if self._counts[point] == said.get("nth", 1):
                self._note(CRASHES, point)
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)  # the signal ends every thread; this one does nothing more

    def behaviour(self, sink: str, table: str) -> Mapping[str, Any]:
        """How a write to this table of this sink should go wrong, empty when it should not."""
        with self._lock:
            sinks = self._now().get("sinks", {})
            found: Mapping[str, Any] = sinks.get(sink) or sinks.get("*") or {}
            if table not in found.get("tables", [table]) or self._counts[sink] >= found.get("times", 1e9):
                return {}
            return found

    def misbehaved(self, sink: str, table: str, behaviour: str) -> None:
        """Keep a line of what was done wrong."""
        with self._lock:
            self._counts[sink] += 1
            self._note(MISBEHAVED, f"{sink} {table} {behaviour}")

    def without(self, mechanism: str) -> bool:
        """Whether this mechanism is switched off; decided once, at the start."""
        with self._lock:
            return mechanism in self._now().get("without", [])

    def _now(self) -> Mapping[str, Any]:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._stamp, self._said = stamp, json.loads(self._path.read_bytes())
            self._counts.clear()
        return self._said

    def _note(self, name: str, line: str) -> None:
        with self._path.with_name(name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class SabotagedSink:
    """A sink that is told how to fail; everything else is the real one's."""

    def __init__(self, inner: Sink, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, batch: Batch) -> None:
        """The real write, with what should go wrong before or after it."""
        self._faults.reached("handed-to-sink")
        said = self._faults.behaviour(self._inner.name, batch.table)
        await self._before(said, batch)
        await self._inner.write(batch)
        if said.get("behaviour") == "hang-after-writing":
            await self._hang(said, batch)
        self._faults.reached("written-not-acknowledged")
        if batch.is_repeat:
            self._faults.reached("recovery-resent")

    async def close(self) -> None:
        """The real close, which a stubborn sink never comes to."""
        if self._faults.behaviour(self._inner.name, "").get("behaviour") == "stubborn":
            await _for_ever()
        await self._inner.close()

    async def _before(self, said: Mapping[str, Any], batch: Batch) -> None:
        match said.get("behaviour"):
            case "hang":
                await self._hang(said, batch)
            case "stubborn":
                self._note(said, batch)
                await _for_ever()
            case "refuse":
                self._fail(said, batch, SinkUnavailable("connection refused"))
            case "unavailable":
                self._fail(said, batch, SinkUnavailable("not this table", is_connection=False))
            case "slow":
                self._note(said, batch)
                await asyncio.sleep(said["seconds"])
            case "raise":
                self._fail(said, batch, RuntimeError("nobody expects this"))
            case "reject-all":
                self._fail(said, batch, RowsRejected(dict.fromkeys(range(batch.rows), "broken schema")))
            case "reject-marked" if marked := _marked(batch):
                self._fail(said, batch, RowsRejected(dict.fromkeys(marked, "poison")))
            case "reject-batch" if _marked(batch):
                self._fail(said, batch, BatchRejected("poison somewhere in here"))

    async def _hang(self, said: Mapping[str, Any], batch: Batch) -> None:
        self._note(said, batch)
        await asyncio.Event().wait()

    def _fail(self, said: Mapping[str, Any], batch: Batch, error: Exception) -> NoReturn:
        self._note(said, batch)
        raise error

    def _note(self, said: Mapping[str, Any], batch: Batch) -> None:
        self._faults.misbehaved(self._inner.name, batch.table, said["behaviour"])


async def _for_ever() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue  # a driver that ignores being cancelled


def _marked(batch: Batch) -> list[int]:
    return [at for at, line in enumerate(batch.data.splitlines()) if POISON in line]


def install(faults: Faults) -> None:
    """Wrap the parts. Before anything of the server was made."""
    setattr(app, "make_sink", lambda settings: SabotagedSink(make_sink(settings), faults))  # noqa: B010 (mypy)
    _wrap(Spool, "commit", before=lambda *_: faults.reached("before-commit"))
    _wrap(Spool, "commit", after=lambda *_: faults.reached("committed"))
    _wrap(Spool, "seal", after=lambda sealed: None if sealed is None else faults.reached("sealed"))
    _wrap(Spool, "finish", after=lambda *_: faults.reached("acknowledged-not-removed"))
    _wrap(Spool, "halve", after=lambda *_: faults.reached("halved"))
    _wrap(Spool, "reject", after=lambda *_: faults.reached("put-aside"))
    _wrap(Spool, "attach_sinks", after=lambda *_: faults.reached("recovery-attached"))
    _wrap_open(faults)
    for mechanism, switch_off in _SWITCHES.items():
        if faults.without(mechanism):
            switch_off()


def _wrap(
    owner: type,
    name: str,
    *,
    before: Callable[..., object] = lambda *_: None,
    after: Callable[[Any], object] = lambda _: None,
) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before()
        result = original(*args, **kwargs)
        after(result)
        return result

    setattr(owner, name, wrapped)


def _wrap_open(faults: Faults) -> None:
    original = Spool.open

    def wrapped(*args: Any, **kwargs: Any) -> Spool:
        spool = original(*args, **kwargs)
        faults.reached("recovery-opened")
        return spool

    setattr(Spool, "open", wrapped)  # noqa: B010 (mypy)


def _answer_before_commit() -> None:
    original = Batcher.add
    tasks = set()

    async def add(self: Batcher, entries: list[Entry]) -> int:
        task = asyncio.ensure_future(original(self, entries))
        tasks.add(task)
        return 0

    setattr(Batcher, "add", add)  # noqa: B010 (mypy)


_REST = "parent, sink, tbl, first, last, rows, skipped, sealed_at, crc, data"
"""A batch's columns but its number and id."""


def _send_again_under_new_ids() -> None:
    original = Spool.attach_sinks

    def attach_sinks(self: Spool, names: Any) -> None:
        with self.database.transaction() as db:
            for n, _, *rest in db.execute(f"SELECT n, id, {_REST} FROM batches").fetchall():  # noqa: S608 (names of ours)
                db.execute("DELETE FROM batches WHERE n = ?", (n,))
                places = ", ".join("?" * (2 + len(rest)))
                db.execute(
                    f"INSERT INTO batches (n, id, {_REST}) VALUES ({places})",  # noqa: S608 (likewise)
                    (n, str(uuid_utils.uuid7()), *rest),
                )
        self.memory.held.clear()
        self.memory.read(self.database.connection())
        original(self, names)

    setattr(Spool, "attach_sinks", attach_sinks)  # noqa: B010 (mypy)


def _keep_no_ledger() -> None:
    from tracker.sinks.duckdb_writer import Writer

    setattr(Writer, "_is_written", lambda *_: False)  # noqa: B010 (mypy)
    setattr(Writer, "_enter", lambda *_: None)  # noqa: B010 (mypy)


def _keep_every_copy() -> None:
    """ClickHouse's events merge no rows of the same key, and no token or content keeps a repeat out."""
    from tracker.sinks.clickhouse_embedded import EmbeddedEngine
    from tracker.sinks.clickhouse_writer import Writer

    command, insert = EmbeddedEngine.command, EmbeddedEngine.insert

    async def plainly(self: EmbeddedEngine, sql: str, *args: Any, **kwargs: Any) -> None:
        if " VIEW " not in sql or "payments AS p" in sql:
            is_events = re.search(r"TABLE IF NOT EXISTS \S*\bevents\b", sql)
            given = sql.replace("ReplacingMergeTree", "MergeTree") if is_events else sql
            await command(self, given, *args, **kwargs)

    async def without_token(self: EmbeddedEngine, table: str, data: bytes, settings: Any = None) -> None:
        left = {name: value for name, value in (settings or {}).items() if "token" not in name}
        await insert(self, table, data, {**left, "deduplicate_insert": "disable"})

    async def nothing(*_: object) -> None:
        """Neither is the schema looked at, nor what a repeat left behind."""

    setattr(EmbeddedEngine, "command", plainly)  # noqa: B010 (mypy)
    setattr(EmbeddedEngine, "insert", without_token)  # noqa: B010 (mypy)
    setattr(Writer, "_compare", nothing)  # noqa: B010 (mypy)
    setattr(Writer, "_complete", nothing)  # noqa: B010 (mypy)


def _put_whole_batches_aside() -> None:
    async def find_the_guilty(self: Lane, error: BatchRejected) -> None:
        work = self._work[0]
        self._is_pardoned = True  # a hold would keep the rows, and this is not about the hold
        await self._put_aside(dict.fromkeys(range(work.sealed.rows), error.reason))

    setattr(Lane, "_find_the_guilty", find_the_guilty)  # noqa: B010 (mypy)


def _never_hold() -> None:
    setattr(Rejections, "objection", lambda *_: None)  # noqa: B010 (mypy)


_SWITCHES: Mapping[str, Callable[[], None]] = {
    "commit-before-answer": _answer_before_commit,
    "resend": _send_again_under_new_ids,
    "ledger": _keep_no_ledger,
    "keys": _keep_every_copy,
    "split": _put_whole_batches_aside,
    "hold": _never_hold,
}


if __name__ == "__main__":
    install(Faults(Path(os.environ[FILE])))
    sys.exit(cli.main())
