"""Brings the remembered client ids from the spool back into memory, piece by piece, so that a start is quick.

A commit that has ids of its own waits until all of it is there.
"""

import sqlite3

from tracker.batching.seen_ids import ID_BYTES, SeenIds

_ROWS = 256

_SLICE = """
SELECT min(n), max(n + length(ids) / 16), group_concat(hex(ids), '')
FROM (SELECT n, ids FROM seen WHERE n >= ? ORDER BY n LIMIT ?)
"""


class RememberedIds:
    """Used by the writer's thread only. Raises sqlite3.Error when the spool cannot be read."""

    def __init__(self, db: sqlite3.Connection, capacity: int) -> None:
        newest = db.execute("SELECT n + length(ids) / 16 FROM seen ORDER BY n DESC LIMIT 1").fetchone()
        self._end: int = newest[0] if newest else 0
        after = max(self._end - capacity, 0)
        (start,) = db.execute("SELECT coalesce(max(n), 0) FROM seen WHERE n <= ?", (after,)).fetchone()
        self._next: int = start if capacity else self._end
        self.seen = SeenIds(capacity, self._next)

    def __len__(self) -> int:
        return min(len(self.seen) + self._end - self._next, self.seen.capacity)

    @property
    def is_loaded(self) -> bool:
        """Every id is in `seen`."""
        return self._next >= self._end

    def load_some(self, db: sqlite3.Connection) -> None:
        """Bring the next few thousand ids in."""
        start, end, ids = db.execute(_SLICE, (self._next, _ROWS)).fetchone()
        if start is None:
            start, end, ids = self._end, self._end, ""
        if start != self.seen.head:  # numbers are missing: what came before them is not remembered
            self.seen = SeenIds(self.seen.capacity, start)
        joined = bytes.fromhex(ids)
        self.seen.add([joined[at : at + ID_BYTES] for at in range(0, len(joined), ID_BYTES)])
        self._next = end

    def load(self, db: sqlite3.Connection) -> None:
        """Bring all ids in that are not yet."""
        while not self.is_loaded:
            self.load_some(db)
