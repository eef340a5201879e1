"""Servers on a disk that is recorded, or that fails, under the load of clients that remember."""

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.reliability.clients import TRANSPORTS, Clients, Event
from tests.reliability.judge import Ledger
from tests.support.preload import Disk
from tests.support.server import Server, running

BATCH_ROWS = 20
VID = str(uuid.uuid4())
QUICKLY = {
    "events": {"Strategy": "hybrid", "MaxBatchTime": "0.05s"},
    "default": {"Strategy": "hybrid", "MaxBatchTime": "0.1s"},
}


@contextmanager
def on_disk(folder: Path, durability: str = "power-loss", **sections: Any) -> Iterator[tuple[Server, Disk]]:
    """A server whose writes are recorded, and whose disk can be made to fail."""
    disk = Disk(folder / "data", folder / "disk")
    (folder / "clients").mkdir(parents=True)
    spool = {"Durability": durability}
    with running(folder, environ=disk.environ(), Spool=spool, Batching=QUICKLY, **sections) as server:
        yield server, disk


def clients(server: Server, seed: int) -> Clients:
    """One of each kind, to be used by `with`."""
    return Clients(server.url, server.folder / "clients", seed, TRANSPORTS, BATCH_ROWS)


def made(count: int, each_bytes: int) -> list[Event]:
    """New events of so many bytes each, of one visitor: each is one row of table events and no other."""
    letters = "".join(random.choices("abcdefghijklmnop", k=each_bytes))
    return [
        Event({"eid": str(uuid.uuid4()), "ename": "made", "vid": VID, "word": letters[at:] + letters[:at]})
        for at in range(count)
    ]


def post(server: Server, events: Sequence[Event]) -> bool:
    """Send these in one request, remembered like those of the clients; whether they were acknowledged."""
    ledger = Ledger.of(server.folder / "clients", "post")
    with ledger.sent.open("a") as sent, ledger.acknowledged.open("a") as acknowledged:
        sent.writelines(event.line for event in events)
        sent.flush()
        try:
            status, _ = server.post("/tr/v1/tr/", [event.body for event in events])
        except OSError:  # the process ended
            return False
        if status == HTTPStatus.OK:
            acknowledged.writelines(event.line for event in events)
    return status == HTTPStatus.OK


def waiting(server: Server) -> int:
    """Rows that are not delivered yet. Raises AssertionError when rows are unaccounted for."""
    tables = json.loads(server.get("/metrics?format=json")[1])["conservation"]["tables"]
    assert not [table for table in tables if table["difference"]], tables
    return sum(table["waiting"] for table in tables)
