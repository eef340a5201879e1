"""Questions to ClickHouse: read-only, bounded in time, rows, bytes and memory, and stopped when nobody waits.

Each has an engine of its own, so that a slow one holds up neither inserts nor other questions.
"""

import asyncio
import math
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tracker.errors import QueryError
from tracker.sinks.base import Answer
from tracker.sinks.clickhouse_engine import Complaint, Engine, Settings, Told, Unreachable
from tracker.sinks.clickhouse_questions import Allowed, checked, reason_of
from tracker.sinks.clickhouse_values import changes

Place = Callable[[float], Engine]
"""Makes an engine for one place, whose answers may take so many seconds."""

AT_ONCE = 2
"""Questions answered at once; further ones wait, within their own time."""
MAX_ANSWER_BYTES = 256 * 1024 * 1024
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
GRACE_SECONDS = 1.0
"""How much later than this program's own clock the engine's stops a question."""
STOP_SECONDS = 2.0

BOUNDS: Settings = {
    "cancel_http_readonly_queries_on_client_close": 1,
    "max_memory_usage": MAX_MEMORY_BYTES,
    "max_result_bytes": MAX_ANSWER_BYTES,
    "result_overflow_mode": "throw",
    "timeout_overflow_mode": "throw",
}
EXACT: Settings = {"final": 1}
"""A row that was inserted twice and is not merged yet counts once, without FINAL in the question."""
FORM: Settings = {
    "date_time_output_format": "iso",
    "output_format_json_quote_denormals": 1,
    "output_format_json_validate_utf8": 1,
    "session_timezone": "UTC",
}
"""How values are written, so that `clickhouse_values` can make them those of every store."""

REASONS = {
    159: "no answer in time; the question was stopped",
    241: "the question needs more memory than one may have, 1 GiB; ask for less at once",
    394: "the question was stopped",
    396: "the answer is larger than one may be, 256 MiB; ask for less at once",
}
"""ClickHouse's number of an error -> what the person who asked is told; for others its own sentence."""


class Questions:
    """Answers questions from the first of several places that can be reached, from one event loop."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._asking: set[asyncio.Task[Answer]] = set()
        self._is_closed = False

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """As `Store.query`. The time includes waiting for earlier questions."""
        if self._is_closed:
            raise QueryError("the store is not open")
        asking = asyncio.create_task(self._bounded(sql, max_rows, timeout_seconds))
        self._asking.add(asking)
        try:
            return await asking
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise QueryError("the question was stopped: the store closes") from None
        finally:
            self._asking.discard(asking)

    async def close(self) -> None:
        """Stop what is being asked; who asked gets a QueryError. Safe twice, for good."""
        self._is_closed = True
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def __aenter__(self) -> Self:
        """As it is."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def _bounded(self, sql: str, max_rows: int, seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds), self._turns:
                return await self._from_first(sql, max_rows, seconds)
        except TimeoutError as error:
            raise QueryError(f"no answer within {seconds:g} seconds; the question was stopped") from error

    async def _from_first(self, sql: str, max_rows: int, seconds: float) -> Answer:
        missing = []
        for place in self._places:
            engine = place(seconds + GRACE_SECONDS)
            try:
                await _open(engine)
                return await _answer(engine, place, sql, max_rows, seconds)
            except Unreachable as error:
                missing.append(f"{engine.place}: {error.reason}")
            except Complaint as error:
                raise QueryError(REASONS.get(error.code or 0) or reason_of(error)) from error
            finally:
                await _let_go(engine)
        raise QueryError(f"the store cannot be reached; {'; '.join(missing)}")


async def _open(engine: Engine) -> None:
    try:
        await engine.open()
    except Complaint as error:
        raise QueryError(f"{engine.place} cannot be opened: {reason_of(error)}") from error


async def _answer(engine: Engine, place: Place, sql: str, max_rows: int, seconds: float) -> Answer:
    name = f"question {uuid.uuid4()}"
    try:
        allowed = await checked(engine, sql)
        told = await engine.ask(allowed.sql, _settings(allowed, name, max_rows, seconds))
    except asyncio.CancelledError:
        await _stop(place, name)
        raise
    return await asyncio.to_thread(_as_answer, told, max_rows)


def _settings(allowed: Allowed, name: str, max_rows: int, seconds: float) -> Settings:
    # `limit` is exact, and bounds nothing but the last result; read-only mode comes last, for it ends changes
    return {
        **EXACT,
        **FORM,
        **BOUNDS,
        "limit": max_rows + 1,
        "log_comment": name,
        "max_execution_time": math.ceil(seconds + GRACE_SECONDS),
        "readonly": 2 if allowed.is_plan else 1,
    }


def _as_answer(told: Told, max_rows: int) -> Answer:
    rows: Sequence[Sequence[Any]] = told.rows[:max_rows]
    if change_at := changes(told.types):
        rows = [
            [change_at[place](value) if place in change_at else value for place, value in enumerate(row)]
            for row in rows
        ]
    return Answer(told.columns, rows, is_cut=len(told.rows) > max_rows)


async def _stop(place: Place, name: str) -> None:
    """Have the engine stop a question that nobody waits for; what cannot be stopped so ends by its bounds."""
    engine = place(STOP_SECONDS)
    with suppress(Complaint, Unreachable, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await engine.open()
            await engine.command(f"KILL QUERY WHERE Settings['log_comment'] = '{name}' ASYNC")
    await _let_go(engine)


async def _let_go(engine: Engine) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await engine.close()
