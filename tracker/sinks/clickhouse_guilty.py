"""Which rows of a batch a table can never take, and why. It runs only after a batch has failed.

Two means follow one another: what can be seen on the bytes, and reading the lines once more by the store's
own reader into a table that keeps nothing, which says at which row it stopped.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import orjson

from tracker.sinks import ndjson
from tracker.sinks.clickhouse_engine import Complaint, Engine, Settings
from tracker.sinks.clickhouse_errors import Meaning, reaction, row_of, row_reason
from tracker.sinks.clickhouse_sql import literal
from tracker.sinks.clickhouse_types import TYPES
from tracker.tables import Table

MOST_TRIALS = 200
"""Readings in one search. Rows named until then are an answer: the others come again as a new batch."""
_MOST_BYTES = 1 << 20
"""Of one reading: so much is sent again at most for each guilty row."""
_MOST_CHARACTERS = 80

_Line = tuple[int, bytes]
"""A line and its number in the batch."""


async def find_guilty(engine: Engine, table: Table, data: bytes, settings: Settings) -> dict[int, str]:
    """Position of each row that can never be stored and the reason, without values of rows.

    Empty when the reader takes every line. Raises Complaint for what is not about rows, and Unreachable.
    """
    lines = ndjson.lines(data)
    reasons = no_rows(table, lines)
    left = [(number, line) for number, line in enumerate(lines) if number not in reasons]
    return dict(sorted((reasons | await _Search(engine, _nowhere(table), settings).among(left)).items()))


def no_rows(table: Table, lines: Sequence[bytes]) -> dict[int, str]:
    """Position of each line that is no JSON object of the table's columns, and the reason."""
    names = table.kinds().keys()
    reasons: dict[int, str] = {}
    for number, line in enumerate(lines):
        if reason := _wrong_with(table, names, line):
            reasons[number] = reason
    return reasons


def _wrong_with(table: Table, names: AbstractSet[str], line: bytes) -> str | None:
    if not line.strip():
        return "empty line"
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "not JSON"
    if not isinstance(row, dict):
        return "not a JSON object"
    other = next((key for key in row if key not in names), None)
    if other is None:
        return None
    return f"column {other[:_MOST_CHARACTERS]}: table {table.name} has no such column"


@dataclass(slots=True)
class _Search:
    """Readings of pieces of a batch, each up to the first row that does not fit."""

    engine: Engine
    nowhere: str
    settings: Settings
    left: int = MOST_TRIALS

    async def among(self, lines: Sequence[_Line]) -> dict[int, str]:
        """Number and reason of each line that cannot be read, as far as the trials reach."""
        reasons: dict[int, str] = {}
        for piece in _pieces(lines):
            while piece and self.left > 0 and (found := await self._first(piece)):
                position, reason = found
                reasons[piece[position][0]] = reason
                piece = piece[position + 1 :]
        return reasons

    async def _first(self, piece: Sequence[_Line]) -> tuple[int, str] | None:
        """Where the first line that cannot be read stands, None when all can."""
        complaint = await self._complaint(piece)
        if complaint is None:
            return None
        row = 0 if len(piece) == 1 else row_of(complaint)
        if row is not None and 0 <= row < len(piece):
            return row, row_reason(complaint)
        half = len(piece) // 2
        if found := await self._first(piece[:half]):
            return found
        found = await self._first(piece[half:])
        return (found[0] + half, found[1]) if found else None

    async def _complaint(self, piece: Sequence[_Line]) -> Complaint | None:
        """What the reader says about these lines; other complaints than about rows are raised."""
        self.left -= 1
        try:
            await self.engine.insert(self.nowhere, ndjson.joined([line for _, line in piece]), self.settings)
        except Complaint as complaint:
            known = reaction(complaint)
            if known is None or known.meaning is not Meaning.ROWS:
                raise
            return complaint
        return None


def _pieces(lines: Sequence[_Line]) -> Iterator[Sequence[_Line]]:
    """Lines for one reading each."""
    start = size = 0
    for end, (_, line) in enumerate(lines):
        if end > start and size + len(line) > _MOST_BYTES:
            yield lines[start:end]
            start, size = end, 0
        size += len(line)
    if start < len(lines):
        yield lines[start:]


def _nowhere(table: Table) -> str:
    """A table function of the table's columns that keeps nothing."""
    columns = ", ".join(f"{column.name} {TYPES[column.kind]}" for column in table.columns)
    return f"FUNCTION null({literal(columns)})"
