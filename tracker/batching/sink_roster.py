"""Which sinks the rows are meant for: registered, away from the configuration, back again, dropped.

A new sink starts from now; one that is no longer configured keeps its backlog and gets nothing new.
"""

import logging
import sqlite3
from collections.abc import Collection, Iterable

from tracker.batching.spool_memory import SpoolMemory
from tracker.batching.spool_schema import count
from tracker.parts import is_for

log = logging.getLogger(__name__)


def attach(db: sqlite3.Connection, memory: SpoolMemory, name: str) -> None:
    """Rows from now on are this sink's too, within the caller's transaction.

    The first sink of all also gets what was acknowledged before there was any.
    """
    if name not in memory.sinks:
        starts = {
            table: last if memory.sinks else memory.firsts.get(table, last + 1) - 1
            for table, last in memory.lasts.items()
        }
        _start(db, name, starts)
    elif not memory.sinks[name]:
        _close_gaps(db, name, memory)
        known = {table for sink, table in memory.backlogs if sink == name}
        _start(db, name, {table: last for table, last in memory.lasts.items() if table not in known})
    db.execute("INSERT INTO sinks VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET is_attached = 1", (name,))


def _start(db: sqlite3.Connection, name: str, starts: dict[str, int]) -> None:
    db.executemany(
        "INSERT INTO cursors (sink, tbl, start, sealed, offset) VALUES (?, ?, ?, ?, 0)",
        [(name, table, start, start) for table, start in starts.items() if is_for(table, name)],
    )


def _close_gaps(db: sqlite3.Connection, name: str, memory: SpoolMemory) -> None:
    """The rows of a gap never were this sink's; with no backlog before it the cursor steps over."""
    for (sink, table), backlog in memory.backlogs.items():
        if sink != name or backlog.is_open:
            continue
        gap, last = backlog.gaps[-1], memory.lasts.get(table, 0)
        if backlog.sealed + 1 < gap.first <= last:
            db.execute(
                "UPDATE gaps SET last = ? WHERE sink = ? AND tbl = ? AND last IS NULL", (last, name, table)
            )
            continue
        db.execute("DELETE FROM gaps WHERE sink = ? AND tbl = ? AND last IS NULL", (name, table))
        if backlog.sealed + 1 == gap.first <= last:
            db.execute(
                "UPDATE cursors SET start = start + ?, sealed = ?, offset = 0 WHERE sink = ? AND tbl = ?",
                (last - backlog.sealed, last, name, table),
            )


def detach(db: sqlite3.Connection, memory: SpoolMemory, name: str) -> None:
    """Nothing new is this sink's, its backlog stays, within the caller's transaction."""
    tables = [table for sink, table in memory.backlogs if sink == name]
    db.executemany(
        "INSERT OR IGNORE INTO cursors VALUES (?, ?, 0, 0, 0)", [(name, table) for table in tables]
    )
    db.executemany(
        "INSERT INTO gaps VALUES (?, ?, ?, NULL)",
        [(name, table, memory.lasts.get(table, 0) + 1) for table in tables],
    )
    db.execute("UPDATE sinks SET is_attached = 0 WHERE name = ?", (name,))


def drop_backlog(db: sqlite3.Connection, memory: SpoolMemory, name: str) -> int:
    """Give up what waits for a detached sink, counted as dropped by command; returns the rows."""
    dropped = 0
    for (sink, table), rows in waiting_rows(memory, [name]).items():
        count(db, sink, table, "dropped:by_command", rows)
        dropped += rows
    db.execute("DELETE FROM batches WHERE sink = ?", (name,))
    for (sink, table), backlog in memory.backlogs.items():
        if sink != name:
            continue
        stepped = sum(gap.last - gap.first + 1 for gap in backlog.gaps if gap.last is not None)
        end = backlog.gaps[-1].first - 1
        db.execute(
            "UPDATE cursors SET start = start + ?, sealed = ?, offset = 0 WHERE sink = ? AND tbl = ?",
            (stepped, end, name, table),
        )
        db.execute("DELETE FROM gaps WHERE sink = ? AND tbl = ? AND last IS NOT NULL", (name, table))
    return dropped


def waiting_rows(memory: SpoolMemory, names: Collection[str]) -> dict[tuple[str, str], int]:
    """Rows that wait, sealed or not, for these sinks by table; only tables with some."""
    rows: dict[tuple[str, str], int] = {}
    for key, backlog in memory.backlogs.items():
        rows[key] = backlog.rows
    for held in memory.held.values():
        key = (held.sealed.sink, held.sealed.table)
        rows[key] = rows.get(key, 0) + held.sealed.rows
    return {key: waiting for key, waiting in rows.items() if key[0] in names and waiting}


def warn_of_absent(memory: SpoolMemory) -> None:
    """Say once per start which sinks are not configured any more and what is kept for them."""
    absent = [name for name, is_attached in memory.sinks.items() if not is_attached]
    for name in absent:
        rows = sum(waiting_rows(memory, [name]).values())
        if rows:
            fields = {"sink": name, "rows": rows}
            log.warning("backlog kept for a sink that is not configured", extra={"fields": fields})


def absent_from(memory: SpoolMemory, names: Iterable[str]) -> list[str]:
    """Attached sinks that are not among these."""
    wanted = set(names)
    return [name for name, is_attached in memory.sinks.items() if is_attached and name not in wanted]
