"""Lines of JSON from a trusted caller, stored as they arrive, in memory that does not grow with the file.

How a record becomes rows is the pipeline's business; the socket and the form of the answer are control.py's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tracker.errors import BadHit, CannotStore, TooLarge
from tracker.pipeline import Prepared
from tracker.steps.json_input import loads

ROUTE = "send"
"""What records count under in metrics."""
KINDS = ("event", "log", "update", "count", "org")
MAX_REASONS = 1000
"""Rejected lines are named up to this many, then only counted."""
PATIENCE_SECONDS = 10.0
"""How long storing is tried again before the sender is told that it cannot be done now."""

SLICE_LINES = 100
"""Lines that are prepared in one go."""

Line = tuple[int, bytes]
"""A line's number in the file, from 1, and its bytes."""


class Recorder(Protocol):
    """The part of the pipeline that `send` needs."""

    def prepare_record(self, kind: str, values: Mapping[str, Any], now: float) -> Prepared:
        """Rows of one record. Raises BadHit."""

    async def store(self, prepared: Sequence[Prepared], route: str) -> object:
        """Durable when it returns. Raises CannotStore."""


@dataclass(slots=True)
class Tally:
    """What became of the lines so far."""

    accepted: int = 0
    rejected: int = 0
    reasons: list[dict[str, Any]] = field(default_factory=list)
    """`{"line": n, "reason": "..."}`, the first thousand."""
    stored_through: int = 0
    """The last line up to which everything is either stored or rejected."""

    def reject(self, number: int, reason: str) -> None:
        """Count a line that can never be stored."""
        self.rejected += 1
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append({"line": number, "reason": reason})


class LineSplitter:
    """Chunks in, whole lines out; holds at most one unfinished line, and of an overlong one nothing."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max = max_line_bytes
        self._rest = bytearray()
        self._number = 0
        self._is_skipping = False

    def feed(self, chunk: bytes) -> Iterator[Line | TooLarge]:
        """The lines that this chunk completes; an overlong one comes out as an error."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            yield self._complete(part)
        self._keep(rest)

    def finish(self) -> Iterator[Line | TooLarge]:
        """The last line, when the file does not end with a newline."""
        if self._rest or self._is_skipping:
            yield self._complete(b"")

    @property
    def number(self) -> int:
        """The number of the line that came out last."""
        return self._number

    def _keep(self, part: bytes) -> None:
        if self._is_skipping or len(self._rest) + len(part) > self._max:
            self._is_skipping = True
            self._rest.clear()
        else:
            self._rest += part

    def _complete(self, part: bytes) -> Line | TooLarge:
        self._keep(part)
        self._number += 1
        line = bytes(self._rest)
        was_skipping, self._is_skipping = self._is_skipping, False
        self._rest.clear()
        if was_skipping:
            return TooLarge(f"the line has more than {self._max} bytes")
        return (self._number, line)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Stores the records of one upload. `kind` is one of KINDS."""

    recorder: Recorder
    kind: str
    max_line_bytes: int
    max_depth: int
    clock: Callable[[], float]
    patience_seconds: float

    async def receive(self, chunks: AsyncIterator[bytes], tally: Tally) -> None:
        """Store every line, chunk by chunk, and keep the tally true throughout.

        Raises CannotStore when storing fails for longer than the patience; the tally says how far it came.
        """
        splitter = LineSplitter(self.max_line_bytes)
        async for chunk in chunks:
            await self._take(splitter, splitter.feed(chunk), tally)
        await self._take(splitter, splitter.finish(), tally)

    async def _take(self, splitter: LineSplitter, lines: Iterator[Line | TooLarge], tally: Tally) -> None:
        prepared = []
        for line in lines:
            if isinstance(line, TooLarge):
                tally.reject(splitter.number, line.reason)
            elif line[1].strip():
                prepared += self._prepare(line, tally)
            if splitter.number % SLICE_LINES == 0:
                await asyncio.sleep(0)  # the server's other callers must not wait for a whole chunk
        if prepared:
            await self._store(prepared)
        tally.accepted += len(prepared)
        tally.stored_through = splitter.number

    def _prepare(self, line: Line, tally: Tally) -> list[Prepared]:
        number, data = line
        try:
            values = _record(loads(data, self.max_depth))
            return [self.recorder.prepare_record(self.kind, values, self.clock())]
        except BadHit as refusal:
            tally.reject(number, refusal.reason)
            return []

    async def _store(self, prepared: Sequence[Prepared]) -> None:
        waited = 0.0
        while True:
            try:
                await self.recorder.store(prepared, ROUTE)
            except CannotStore as failure:
                if waited >= self.patience_seconds:
                    raise
                pause = min(max(failure.retry_after_seconds, 0.1), self.patience_seconds)
            else:
                return
            await asyncio.sleep(pause)
            waited += pause


def _record(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadHit("a line must hold a JSON object", "form")
    return value
