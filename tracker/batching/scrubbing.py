"""Free pages of the spool's file overwritten, its log emptied: nothing of a removed row is left in either.

SQLite keeps what stood in a page that it freed until it needs the page again. So all free pages are asked for
with zeros in them, and given back. In short steps; commits go on between them and free more, but no page that
was free when it began keeps what was in it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from sqlite3 import Connection

STEP_BYTES = 2 * 1024 * 1024
_WAIT_MILLISECONDS = 50
_OVERFLOW_BYTES = 4
"""What an overflow page keeps for itself."""


class Scrub:
    """One cleaning, on the writer's thread. Raises CannotStore."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction
        self._is_filled = False
        self._left: int | None = None
        """Pages to fill; None before the first step."""

    def step(self) -> bool:
        """One short step; True when there is more to do."""
        with self._transaction() as db:
            if self._left is None:
                db.execute("DELETE FROM filler")
            elif self._is_filled:
                return self._give_back(db)
            else:
                self._fill(db)
                return True
        with self._transaction() as db:
            self._left = _free_pages(db)
        return True

    def _fill(self, db: Connection) -> None:
        (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
        free = _free_pages(db)
        pages = min(free, max(1, STEP_BYTES // page_bytes))
        if not pages or self._left is None or self._left <= 0:
            self._is_filled = True
            return
        db.execute(
            "INSERT INTO filler (room) VALUES (zeroblob(?))", (pages * (page_bytes - _OVERFLOW_BYTES),)
        )
        self._left -= pages

    def _give_back(self, db: Connection) -> bool:
        db.execute("DELETE FROM filler WHERE n = (SELECT max(n) FROM filler)")
        return bool(db.execute("SELECT count(*) FROM filler").fetchone()[0])


def empty_log(db: Connection) -> bool:
    """Move the log into the file and cut it to nothing; False when somebody reads from it just now."""
    (before,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute(f"PRAGMA busy_timeout = {_WAIT_MILLISECONDS}")
    try:
        is_busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        db.execute(f"PRAGMA busy_timeout = {before}")
    return not is_busy


def _free_pages(db: Connection) -> int:
    return int(db.execute("PRAGMA freelist_count").fetchone()[0])
