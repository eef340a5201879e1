"""What tests of a server's end need: events that are owed, and what became of them."""

import json
from pathlib import Path

import duckdb

from tests.reliability.campaign import until, waiting_rows
from tests.support.server import Server

QUICK = {"events": {"Strategy": "hybrid", "MaxBatchTime": "0.05s"}}


def eids(database: Path) -> list[str]:
    """Ids of the events in a DuckDB file that nobody has open, sorted."""
    with duckdb.connect(str(database), read_only=True) as store:
        return sorted(eid for (eid,) in store.execute("SELECT eid::VARCHAR FROM events").fetchall())


def acknowledge(server: Server, count: int) -> list[str]:
    """Send so many events; their ids, sorted."""
    found = []
    for _ in range(count):
        status, body = server.post("/tr/v1/str/", {"ename": "kept"})
        assert status == 200
        found.append(str(json.loads(body)))
    return sorted(found)


def delivered(server: Server) -> None:
    """Wait until no row waits for a store any more."""
    until(lambda: not waiting_rows(server), 60, "rows still wait")
