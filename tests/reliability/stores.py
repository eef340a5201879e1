"""The stores a campaign runs on: how a server is told of one, and how the judge reads it behind its back."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import duckdb
import orjson

from tests.reliability.judge import Stored, content_hash
from tests.support.clickhouse_process import serving
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool

SENT_KEYS = ("word", "number", "deep")
"""Keys of the clients' events that are no columns: what is kept of them as params is what was sent."""
CLICKHOUSE_FOLDER = "data/clickhouse"


class Place(Protocol):
    """What is known of a server that is stopped: the folder of its configuration and data."""

    @property
    def folder(self) -> Path:
        """Where they lie."""


class Beside(Protocol):
    """A store's own process."""

    def wrong(self, *rules: Mapping[str, Any]) -> None:
        """Have it go wrong, see `tests.support.clickhouse_wrongs`."""

    def kill(self) -> None:
        """kill -9."""

    def start(self) -> None:
        """Start it, over the same data."""

    def is_alive(self) -> bool:
        """Whether it answers."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A store that a server can be pointed at."""

    notify: Mapping[str, Any]
    """Its entry in the configuration."""
    process: Beside | None = None
    """None when it has none of its own."""


@dataclass(frozen=True, slots=True)
class StoreKind:
    """A kind of store. A new one is one of these and one line below."""

    prepare: Callable[[Path], AbstractContextManager[Prepared]]
    """Given the folder of the server, which is not running yet."""
    rows: Callable[[Place], Iterator[Stored]]
    """Every event in it; the server is stopped, and so is the store."""


def duckdb_rows(server: Place) -> Iterator[Stored]:
    """Every event of the shipped configuration's database, which no process may have open."""
    with duckdb.connect(str(server.folder / "data" / "tracker.duckdb"), read_only=True) as database:
        found = database.execute("SELECT eid::VARCHAR, ename, params::VARCHAR FROM events")
        while rows := found.fetchmany(10_000):
            for eid, ename, params in rows:
                yield _stored(eid, ename, json.loads(params))


def clickhouse_rows(server: Place) -> Iterator[Stored]:
    """Every event, deduplicated, read by an engine of its own in another process."""
    command = [
        sys.executable,
        "-m",
        "tests.support.clickhouse_reader",
        str(server.folder / CLICKHOUSE_FOLDER),
    ]
    question = "SELECT eid, ename, params FROM sfpla.events SETTINGS final = 1"
    done = subprocess.run([*command, question], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    for line in done.stdout.splitlines():
        row = orjson.loads(line)
        yield _stored(row["eid"], row["ename"], row["params"])


@contextmanager
def _duckdb(_: Path) -> Iterator[Prepared]:
    yield Prepared({"Service": "duckdb", "Context": "data/tracker.duckdb"})


@contextmanager
def _embedded(_: Path) -> Iterator[Prepared]:
    yield Prepared({"Service": "clickhouse", "Hosts": ["embedded"], "Context": CLICKHOUSE_FOLDER})


@contextmanager
def _over_http(folder: Path) -> Iterator[Prepared]:
    with serving(folder / CLICKHOUSE_FOLDER) as server:
        hosts = [f"127.0.0.1:{server.port}"]
        yield Prepared({"Service": "clickhouse", "Hosts": hosts, "Context": "sfpla"}, server)


STORES: Mapping[str, StoreKind] = MappingProxyType(
    {
        "duckdb": StoreKind(_duckdb, duckdb_rows),
        "clickhouse-embedded": StoreKind(_embedded, clickhouse_rows),
        "clickhouse-http": StoreKind(_over_http, clickhouse_rows),
    }
)
"""By what they are called on the command line."""


def dead_events(server: Place) -> Iterator[Stored]:
    """Every event among the dead letters; the server is stopped."""
    spool = Spool.open(server.folder / "data" / "spool")
    try:
        for letter in spool.dead_letters(DeadFilter(table="events"), 1_000_000):
            whole = spool.dead_letter(letter.id)
            row = json.loads((whole.line if whole else None) or b"{}")
            yield _stored(row["eid"], row["ename"], row["params"])
    finally:
        spool.close()


def _stored(eid: str, ename: str, params: dict[str, object]) -> Stored:
    return Stored(eid, content_hash(ename, {key: params[key] for key in SENT_KEYS if key in params}))
