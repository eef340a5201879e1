"""How the judge reads a store behind the collector's back. A new sink is one function and one line here."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import duckdb

from tests.reliability.judge import Stored, content_hash
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool

SENT_KEYS = ("word", "number", "deep")
"""Keys of the clients' events that are no columns: what is kept of them as params is what was sent."""


class Place(Protocol):
    """What is known of a server that is stopped: the folder of its configuration and data."""

    @property
    def folder(self) -> Path:
        """Where they lie."""


def duckdb_rows(server: Place) -> Iterator[Stored]:
    """Every event of the shipped configuration's database, which no process may have open."""
    with duckdb.connect(str(server.folder / "data" / "tracker.duckdb"), read_only=True) as database:
        found = database.execute("SELECT eid::VARCHAR, ename, params::VARCHAR FROM events")
        while rows := found.fetchmany(10_000):
            for eid, ename, params in rows:
                yield _stored(eid, ename, json.loads(params))


STORES: Mapping[str, Callable[[Place], Iterator[Stored]]] = MappingProxyType({"duckdb": duckdb_rows})
"""Service to the reader of its events; the server is stopped."""


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
