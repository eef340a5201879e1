"""One table's rows that wait for some sinks, for whoever must answer with what was acknowledged.

Rows that only some sinks may have wait under names of their own (see `parts`); they are the table's as well.

It changes nothing. Dead letters do not wait; those that were sent again do. What waits is decided once; a row
that is delivered meanwhile may be left out, one that comes later is not looked at.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple, TypeVar

from tracker.batching.running import Run
from tracker.batching.sealing import read_batches
from tracker.batching.spool import Spool
from tracker.batching.spool_schema import checksum
from tracker.batching.waiting_rows import Need, read_waits
from tracker.parts import table_of

T = TypeVar("T")

_STEP_BYTES = 1024 * 1024
_STEP_CHUNKS = 256
_CHUNKS = "SELECT first, last, crc, data FROM chunks WHERE tbl = ? AND first > ? ORDER BY first LIMIT ?"


class _Waits(NamedTuple):
    needs: Mapping[str, Sequence[Need] | None]
    """By the name under which rows wait; None when every row is kept for a sink that is not known."""
    replays: Sequence[str]


class _Piece(NamedTuple):
    lines: Sequence[bytes]
    last: int
    """The row to go on after."""


class WaitingTable:
    """The rows of any table that wait for one of these sinks, for any when none is named; `read` runs a
    function on the spool's reading thread."""

    def __init__(self, spool: Spool, read: Run, sinks: Collection[str]) -> None:
        self._spool = spool
        self._read = read
        self._sinks = sinks

    async def lines(self, table: str, needles: Sequence[bytes] = ()) -> AsyncIterator[Sequence[bytes]]:
        """Lines of JSON, oldest first under each name, in pieces of about a megabyte of the spool; with
        needles, those that contain one. Raises CannotStore or SpoolDamaged; rows of a damaged chunk are left
        out."""
        waits = await self._ask(partial(_waits, self._sinks, table))
        for name, needs in waits.needs.items():
            last = 0
            while piece := await self._ask(partial(_piece, name, needs, last, needles)):
                last = piece.last
                yield piece.lines
        for batch in waits.replays:
            yield await self._ask(partial(_replayed, batch, needles))

    async def is_empty(self, table: str) -> bool:
        """No row of the table waits for these sinks. Raises as `lines` does."""
        waits = await self._ask(partial(_waits, self._sinks, table))
        return not waits.needs and not waits.replays

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        return await self._read(self._spool.ask, question)


def _waits(sinks: Collection[str], table: str, db: Connection) -> _Waits:
    needs = read_waits(db).needs
    if needs is None:
        names = (name for (name,) in db.execute("SELECT DISTINCT tbl FROM chunks"))
        return _Waits({name: None for name in names if table_of(name) == table}, ())
    replays = [
        held.sealed.id
        for held in read_batches(db).values()
        if held.inline_bytes
        and (not sinks or held.sealed.sink in sinks)
        and table_of(held.sealed.table) == table
    ]
    own: dict[str, list[Need]] = {}
    for name in needs:
        if table_of(name) == table:
            own[name] = [need for need in needs[name] if not sinks or need.sink in sinks]
    return _Waits({name: left for name, left in own.items() if left}, replays)


def _piece(
    name: str, needs: Sequence[Need] | None, after: int, needles: Sequence[bytes], db: Connection
) -> _Piece | None:
    lines: list[bytes] = []
    size, upto = 0, 0
    for first, last, crc, data in db.execute(_CHUNKS, (name, after, _STEP_CHUNKS)):
        if _may_have(data, needles) and checksum(name, first, last, data) == crc:
            rows = data.split(b"\n")[:-1]
            lines += [
                row
                for number, row in enumerate(rows, first)
                if row and _may_have(row, needles) and _is_needed(needs, number)
            ]
        size, upto = size + len(data), last
        if size >= _STEP_BYTES:
            break
    return _Piece(lines, upto) if upto else None


def _is_needed(needs: Sequence[Need] | None, number: int) -> bool:
    return needs is None or any(
        need.first <= number <= need.last and number not in need.skipped for need in needs
    )


def _replayed(batch: str, needles: Sequence[bytes], db: Connection) -> list[bytes]:
    """Empty when it is done meanwhile."""
    found = db.execute("SELECT data FROM batches WHERE id = ?", (batch,)).fetchone()
    if found is None or found[0] is None:
        return []
    return [row for row in found[0].split(b"\n")[:-1] if row and _may_have(row, needles)]


def _may_have(data: bytes, needles: Sequence[bytes]) -> bool:
    return not needles or any(needle in data for needle in needles)
