"""The stores a campaign runs on: how a server is told of one, and how the judge reads it behind its back."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import duckdb
import orjson

from tests.reliability.judge import Stored, content_hash
from tests.reliability.records import LTV, QUESTIONS, found
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
    ask: Callable[[Place, str], Iterator[Mapping[str, Any]]]
    """The answer to a question; the server is stopped, and so is the store."""

    def rows(self, server: Place) -> Iterator[Stored]:
        """Everything that clients sent and that is in it."""
        events = self.ask(
            server, "SELECT CAST(eid AS VARCHAR) AS eid, ename, params FROM events WHERE etyp = ''"
        )
        for row in events:
            yield _stored(row["eid"], row["ename"], row["params"])
        for table, question in QUESTIONS.items():
            for row in self.ask(server, question):
                yield Stored(*found(table, row))

    def money(self, server: Place) -> dict[str, Decimal]:
        """What was paid in all, by currency, as the store's own view has it."""
        return {row["currency"]: Decimal(row["paid"]) for row in self.ask(server, LTV)}


def _ask_duckdb(server: Place, sql: str) -> Iterator[Mapping[str, Any]]:
    """The shipped configuration's database, which no process may have open."""
    with duckdb.connect(str(server.folder / "data" / "tracker.duckdb"), read_only=True) as database:
        asked = database.execute(sql)
        names = [column[0] for column in asked.description or []]
        while rows := asked.fetchmany(10_000):
            for row in rows:
                told = dict(zip(names, row, strict=True))
                yield told | ({"params": json.loads(told["params"])} if "params" in told else {})


def _ask_clickhouse(server: Place, sql: str) -> Iterator[Mapping[str, Any]]:
    """The folder, deduplicated, read by an engine of its own in another process."""
    folder = str(server.folder / CLICKHOUSE_FOLDER)
    command = [sys.executable, "-m", "tests.support.clickhouse_reader", folder]
    done = subprocess.run([*command, f"{sql} SETTINGS final = 1"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    yield from map(orjson.loads, done.stdout.splitlines())


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
        "duckdb": StoreKind(_duckdb, _ask_duckdb),
        "clickhouse-embedded": StoreKind(_embedded, _ask_clickhouse),
        "clickhouse-http": StoreKind(_over_http, _ask_clickhouse),
    }
)
"""By what they are called on the command line."""


def duckdb_rows(server: Place) -> Iterator[Stored]:
    """Everything that clients sent and that the shipped configuration's database holds."""
    return STORES["duckdb"].rows(server)


def dead_events(server: Place) -> Iterator[Stored]:
    """Every event among the dead letters; the server is stopped."""
    spool = Spool.open(server.folder / "data" / "spool")
    try:
        for letter in spool.dead_letters(DeadFilter(table="events"), 1_000_000):
            whole = spool.dead_letter(letter.id)
            row = json.loads((whole.line if whole else None) or b"{}")
            if "etyp" not in row:  # else a click on a short link, which nobody was promised
                yield _stored(row["eid"], row["ename"], row["params"])
    finally:
        spool.close()


def _stored(eid: str, ename: str, params: dict[str, object]) -> Stored:
    return Stored(eid, content_hash(ename, {key: params[key] for key in SENT_KEYS if key in params}))
