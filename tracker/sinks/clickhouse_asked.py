"""ClickHouse asked directly, while no server of this project runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tracker.errors import QueryError
from tracker.sinks.base import Answer
from tracker.sinks.clickhouse import engine_of, finder_of
from tracker.sinks.clickhouse_finding import Finder
from tracker.sinks.clickhouse_store import Questions
from tracker.sinks.registry import SinkSettings


class Asked:
    """A store to be asked inside `async with`."""

    def __init__(self, questions: Questions, finder: Finder) -> None:
        self._questions = questions
        self._finder = finder

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """As `Store.query`."""
        return await self._questions.query(sql, max_rows=max_rows, timeout_seconds=timeout_seconds)

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        """As `Store.find`."""
        return await self._finder.find(table, where, limit)

    async def __aenter__(self) -> Self:
        """As it is."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the servers."""
        await self._questions.close()
        await self._finder.close()


def to_ask(settings: SinkSettings) -> Asked:
    """As the registry wants it: asks the servers in order, or the engine in this process.

    Raises QueryError when there is no such folder yet: asking makes none.
    """
    server = settings.server
    if server is None and not Path(settings.context).is_dir():
        raise QueryError(f"{settings.context}: no such folder; nothing has been stored there yet")
    places = range(len(server.hosts) if server else 1)
    questions = Questions([partial(engine_of, settings, place) for place in places])
    return Asked(questions, finder_of(settings))
