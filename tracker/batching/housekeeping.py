"""Work that can wait, in steps short enough to go between commits: rows nobody needs, ids too old."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from sqlite3 import Connection

from tracker.batching.spool_memory import SpoolMemory

TRIM_BYTES = 512 * 1024
TRIM_CHUNKS = 512
_ID_ROWS = 512
_IDS_AT_ONCE = 1000
_PRUNE_EVERY_SECONDS = 1.0

_TRIMMABLE = """
WITH oldest AS (
        SELECT first, last, bytes FROM chunks WHERE tbl = :table AND first >= :first AND first <= :last
        ORDER BY first LIMIT :chunks
    ),
    span AS (
        SELECT last, sum(bytes) OVER w AS total, row_number() OVER w AS n FROM oldest
        WINDOW w AS (ORDER BY first)
    )
SELECT max(last), max(total) FROM span WHERE last <= :last AND (total <= :bytes OR n = 1)
"""

_EXPIRED = """
SELECT max(after) FROM (SELECT n + length(ids) / 16 AS after, at FROM seen ORDER BY n LIMIT :rows)
WHERE at < :oldest OR after <= :tail
"""


class Housekeeping:
    """Used by the writer's thread only. Raises CannotStore when the disk does not take it."""

    def __init__(
        self,
        memory: SpoolMemory,
        transaction: Callable[[], AbstractContextManager[Connection]],
        remember_for_seconds: float,
    ) -> None:
        self._memory = memory
        self._transaction = transaction
        self._remember_for_seconds = remember_for_seconds
        self._forget_before = 0
        self._pruned_at = 0.0

    def step(self, now: float) -> bool:
        """One step of each kind; True when there is more to do at once."""
        if not self._memory.remembered.is_loaded:
            with self._transaction() as db:
                self._memory.remembered.load_some(db)
            return True
        more = self._trim()
        seen = self._memory.remembered.seen
        seen.find_places(_IDS_AT_ONCE)
        seen.forget_before(self._forget_before, _IDS_AT_ONCE)
        if now - self._pruned_at >= _PRUNE_EVERY_SECONDS or now < self._pruned_at:
            more = self._prune(now) or more
        return more or seen.tail < self._forget_before or bool(seen.unfound)

    def _trim(self) -> bool:
        """Delete some chunks that no sink needs; True when some were deleted."""
        memory = self._memory
        for table in list(memory.untidy):
            for first, last in memory.needless(table):
                if self._trim_rows(table, first, last):
                    return True
            memory.untidy.discard(table)
        return False

    def _trim_rows(self, table: str, first: int, last: int) -> bool:
        """Delete the first chunks that lie within these rows, up to a bound."""
        values = {"table": table, "first": first, "last": last, "chunks": TRIM_CHUNKS, "bytes": TRIM_BYTES}
        with self._transaction() as db:
            end, size = db.execute(_TRIMMABLE, values).fetchone()
            if end is None:
                return False
            db.execute("DELETE FROM chunks WHERE tbl = ? AND first BETWEEN ? AND ?", (table, first, end))
            db.execute(
                "INSERT INTO sequences VALUES (?, ?, ?, ?) ON CONFLICT (tbl) DO UPDATE"
                " SET last = excluded.last, upto = excluded.upto, trimmed = trimmed + excluded.trimmed",
                (table, *self._memory.ends[table], size),
            )
        self._memory.live_bytes -= size
        return True

    def _prune(self, now: float) -> bool:
        """Delete remembered ids beyond the window; True when there may be more."""
        seen = self._memory.remembered.seen
        values = {"rows": _ID_ROWS, "oldest": now - self._remember_for_seconds, "tail": seen.tail}
        with self._transaction() as db:
            (before,) = db.execute(_EXPIRED, values).fetchone()
            if before is not None:
                db.execute("DELETE FROM seen WHERE n < ?", (before,))
            self._memory.remembered.join_some(db)
        if before is None:
            self._pruned_at = now
            return False
        self._forget_before = max(before, self._forget_before)
        return True
