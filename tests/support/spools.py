"""Short ways to fill and empty a real spool in tests."""

from pathlib import Path
from typing import Any

from tracker.batching.contract import Sealed
from tracker.batching.spool import Spool
from tracker.events import Entry, Row

NOW = 1_900_000_000.0
MANY = 1_000_000


def entry(name: object, table: str = "events", client_id: bytes | None = None) -> Entry:
    """One event of one row that can be told from others."""
    return Entry((Row(table, b'{"n":"%s"}' % str(name).encode()),), client_id)


def client_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def open_spool(folder: Path, *sinks: str, **settings: Any) -> Spool:
    """A spool that survives only a process (syncing is what slows tests), with these sinks attached."""
    spool = Spool.open(folder, **{"durability": "process-crash", **settings})
    if sinks:
        spool.attach_sinks(sinks)
    return spool


def names(data: bytes) -> list[str]:
    """The names of the rows in a batch's data, in order."""
    return [line.split(b'"')[3].decode() for line in data.splitlines()]


def seal(spool: Spool, sink: str = "a", rows: int = MANY, size: int = MANY, table: str = "events") -> Sealed:
    """Seal a batch that must exist."""
    sealed = spool.seal(sink, table, rows, size, NOW)
    assert sealed is not None
    return sealed


def deliver_all(spool: Spool, sink: str = "a", table: str = "events", rows: int = MANY) -> list[str]:
    """Seal, load and finish until nothing waits; the names in the order they were delivered."""
    delivered = []
    while sealed := spool.seal(sink, table, rows, MANY, NOW):
        delivered += names(spool.load(sealed).data)
        spool.finish(sealed)
    return delivered


def check(spool: Spool) -> None:
    """Conservation holds, the file is sound, and what memory says is what the disk says."""
    verdict = spool.verify()
    assert verdict.is_sound, verdict.problems
    waiting = {(total.sink, total.table): total.waiting for total in spool.totals()}
    in_memory = {key: backlog.rows for key, backlog in spool.memory.backlogs.items()}
    for held in spool.memory.held.values():
        key = (held.sealed.sink, held.sealed.table)
        in_memory[key] = in_memory.get(key, 0) + held.sealed.rows
    assert {key: rows for key, rows in waiting.items() if rows} == {
        key: rows for key, rows in in_memory.items() if rows
    }
