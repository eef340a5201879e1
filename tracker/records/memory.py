"""What a lookup holds in memory: rows that were asked for, keys that have none, rows on their way to a store.

Nothing here asks or waits. Times are seconds of a clock that never goes back.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from tracker.records.bounded import Bounded
from tracker.records.pending import Pending
from tracker.records.ports import Row
from tracker.records.rows import newest, size_of, whole
from tracker.tables import Table

FRESH_SECONDS = 10.0
"""A row that is asked for is asked anew in the store when it is older."""
MISSED_SECONDS = 2.0
"""How long "there is none" is remembered."""
MOST_BYTES = 64 * 1024 * 1024
"""Of rows that were asked for, as estimated; beside their number, whichever bound is reached first."""
_MOST_MISSED = 10_000
_MOST_MISSED_BYTES = 4 * 1024 * 1024


class Unknown(Enum):
    """What is said where the store would have to be asked."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Memory:
    """Rows of one table by one of its columns; of several rows with the same key the newest is the answer."""

    def __init__(self, table: Table, column: str, most_entries: int, most_pending_bytes: int) -> None:
        self._table = table
        self._column = column
        self._known: Bounded[str, tuple[Row, float]] = Bounded(most_entries, MOST_BYTES)
        self._missed: Bounded[str, float] = Bounded(_MOST_MISSED, _MOST_MISSED_BYTES)
        self.pending = Pending(table, column, most_pending_bytes)

    def answer(self, key: str, now: float) -> tuple[Row | Unknown | None, bool]:
        """The current row, None when there is none; and whether it is time to ask the store anew."""
        known = self._known.get(key)
        if known is not None:
            return known[0], now - known[1] >= FRESH_SECONDS
        pending = self.pending.newest(key)
        if pending is not None:
            self._know(key, pending, now)
            return pending, False
        missed_at = self._missed.look(key)
        return (None if missed_at is not None and now - missed_at < MISSED_SECONDS else UNKNOWN), False

    def wrote(self, row: Row, now: float) -> None:
        """A row is durable: the answer from now on, unless a newer one is known."""
        row = whole(self._table, row)
        key = str(row[self._column])
        self.pending.keep(row)
        self._missed.drop(key)
        known = self._known.look(key)
        self._know(key, newest(self._table, known[0] if known else None, row) or row, now)

    def learn(self, keys: Sequence[str], rows: Sequence[Row], now: float) -> dict[str, Row | None]:
        """The store was asked for these keys and has these rows: the answer for each key."""
        best: dict[str, Row | None] = {key: self.pending.newest(key) for key in keys}
        for row in rows:
            key = str(row[self._column])
            if key in best:
                best[key] = newest(self._table, row, best[key])
        for key, row_of_key in best.items():
            if row_of_key is not None:
                self._know(key, row_of_key, now)
                self._missed.drop(key)
            else:
                self._known.drop(key)
                self._missed.keep(key, now, 100 + len(key))
        return best

    def stay(self, keys: Sequence[str], now: float) -> None:
        """The store could not be asked: what is known of these stays known, and is asked anew later."""
        for key in keys:
            known = self._known.look(key)
            if known is not None:
                self._know(key, known[0], now)

    def forget(self, key: str) -> None:
        """What is known of this key is not true any more."""
        self._known.drop(key)
        self._missed.drop(key)
        self.pending.forget([key])

    def _know(self, key: str, row: Row, asked_at: float) -> None:
        self._known.keep(key, (row, asked_at), size_of(row) + len(key))
