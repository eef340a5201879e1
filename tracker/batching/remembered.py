"""The remembered client ids between the spool and memory: brought back in pieces, so that a start is quick.

The first commit that has ids of its own after a start waits until all are read, which takes as many steps as
there are rows on disk; so rows of few ids are joined, in steps that can wait.
"""

import sqlite3
from collections.abc import Sequence

from tracker.batching.seen_ids import ID_BYTES, SeenIds

_READ_ROWS = 1024
_JOIN_ROWS = 512
_JOIN_BYTES = _JOIN_ROWS * 8 * ID_BYTES
"""Rows whose ids take more than this are left as they are."""
_PLACES_AT_ONCE = 20_000

_SLICE = """
SELECT min(n), max(n + length(ids) / 16), CAST(group_concat(ids, '') AS BLOB)
FROM (SELECT n, ids FROM seen WHERE n >= ? ORDER BY n LIMIT ?)
"""

_SMALL = """
SELECT count(*), min(n), max(n + length(ids) / 16), sum(length(ids))
FROM (SELECT n, ids FROM seen WHERE n >= ? ORDER BY n LIMIT ?)
"""

_JOIN = """
UPDATE seen SET (at, ids) = (
    SELECT max(at), CAST(group_concat(ids, '') AS BLOB)
    FROM (SELECT at, ids FROM seen WHERE n >= :first AND n < :end ORDER BY n)
) WHERE n = :first
"""


class RememberedIds:
    """Used by the writer's thread only. Raises sqlite3.Error when the spool cannot be read."""

    def __init__(self, db: sqlite3.Connection, capacity: int) -> None:
        newest = db.execute("SELECT n + length(ids) / 16 FROM seen ORDER BY n DESC LIMIT 1").fetchone()
        self._end: int = newest[0] if newest else 0
        after = max(self._end - capacity, 0)
        (start,) = db.execute("SELECT coalesce(max(n), 0) FROM seen WHERE n <= ?", (after,)).fetchone()
        self._next: int = start if capacity else self._end
        self._joined_to = 0
        self.seen = SeenIds(capacity, self._next)

    def __len__(self) -> int:
        return min(len(self.seen) + self._end - self._next, self.seen.capacity)

    @property
    def is_loaded(self) -> bool:
        """Every id is in `seen`."""
        return self._next >= self._end

    def load_some(self, db: sqlite3.Connection) -> None:
        """Bring the next few thousand ids in."""
        start, end, ids = db.execute(_SLICE, (self._next, _READ_ROWS)).fetchone()
        if start is None:
            start, end, ids = self._end, self._end, b""
        if start != self.seen.head:  # numbers are missing: what came before them is not remembered
            self.seen = SeenIds(self.seen.capacity, start)
        self.seen.fill(ids)
        self._next = end

    def load(self, db: sqlite3.Connection) -> None:
        """Bring all ids in that are not yet."""
        while not self.is_loaded:
            self.load_some(db)

    def known(self, client_ids: Sequence[bytes]) -> set[bytes]:
        """Those of the ids that are remembered; everything must be loaded."""
        known = self.seen.known(client_ids)
        self.seen.find_places(_PLACES_AT_ONCE)  # the next commits search less, also when none of them waits
        return known

    def add(self, client_ids: Sequence[bytes]) -> None:
        """Remember ids that are not known."""
        self.seen.add(client_ids)

    def join_some(self, db: sqlite3.Connection) -> None:
        """Make one row of the next few hundred, in the caller's transaction."""
        rows, first, end, size = db.execute(_SMALL, (self._joined_to, _JOIN_ROWS)).fetchone()
        if rows < _JOIN_ROWS:
            return
        self._joined_to = end
        if size > _JOIN_BYTES or size // ID_BYTES != end - first:  # large already, or numbers are missing
            return
        db.execute(_JOIN, {"first": first, "end": end})
        db.execute("DELETE FROM seen WHERE n > ? AND n < ?", (first, end))
