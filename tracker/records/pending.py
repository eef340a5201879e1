"""Rows that are durable here and that the store need not have yet.

Bounded by bytes. Rows beyond that are still in the spool, and their keys are remembered in a set of fixed
size, so that it is known for which keys the spool must be read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import orjson

from tracker.records.bounded import Bounded
from tracker.records.keyset import KeySet
from tracker.records.ports import Row
from tracker.records.rows import key_of, newest, version_of, whole
from tracker.tables import Table

_OVERHEAD_BYTES = 800
_MOST_ROWS = 1_000_000

Key = tuple[str, ...]


class Pending:
    """Pending rows of one table, by the column that is asked by; a key may have several rows of the table."""

    def __init__(self, table: Table, column: str, most_bytes: int) -> None:
        self._table = table
        self._column = column
        self._held: Bounded[str, Mapping[Key, bytes]] = Bounded(_MOST_ROWS, most_bytes)
        self._lost = KeySet()
        self.lost = 0
        """How often a row had to go from memory; 0 when none is in the spool alone."""

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, row: Row) -> None:
        """A row is durable; of the same key of the table the newer one stays, of equal ones the last."""
        row = whole(self._table, row)
        key, own = str(row[self._column]), key_of(self._table, row)
        rows = dict(self._held.look(key) or {})
        if newest(self._table, _read(rows.get(own)), row) is row:
            self._put(key, {**rows, own: orjson.dumps(row)})

    def newest(self, key: str) -> Row | None:
        """The newest pending row of this key."""
        rows = self._held.look(key)
        return newest(self._table, *map(orjson.loads, rows.values())) if rows else None

    def rows(self) -> Iterator[Row]:
        """Every pending row that is in memory."""
        for key in list(self._held):
            for line in (self._held.look(key) or {}).values():
                yield orjson.loads(line)

    def oldest(self, count: int) -> list[str]:
        """Keys whose turn it is to be asked about; the next call gives others."""
        keys = list(islice(self._held, count))
        for key in keys:
            self._held.get(key)
        return keys

    def settle(self, found: Iterable[Row]) -> None:
        """The store has these, and with them what was pending of the same version or an older one."""
        for row in found:
            key, own = str(row[self._column]), key_of(self._table, row)
            rows = dict(self._held.look(key) or {})
            pending = _read(rows.get(own))
            if pending is not None and version_of(self._table, row) >= version_of(self._table, pending):
                del rows[own]
                self._put(key, rows)

    def forget(self, keys: Sequence[str]) -> None:
        """These are not pending any more, whatever the store says."""
        for key in keys:
            self._held.drop(key)

    def may_have_lost(self, key: str) -> bool:
        """The spool must be read for this key; False is certain."""
        return self._lost.may_have(key)

    def nothing_lost(self, *, since: int) -> None:
        """The spool had no row that the store does not have when `lost` was so high."""
        if self.lost == since:
            self._lost.clear()
            self.lost = 0

    def _put(self, key: str, rows: Mapping[Key, bytes]) -> None:
        if not rows:
            self._held.drop(key)
            return
        size = sum(_OVERHEAD_BYTES + len(line) for line in rows.values())
        for gone in self._held.keep(key, rows, size):
            self._lost.add(gone)
            self.lost += 1


def _read(line: bytes | None) -> Row | None:
    return orjson.loads(line) if line is not None else None
