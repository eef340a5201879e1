"""The places of a ClickHouse store that hold rows of their own, open for a job: a copy, or mutations."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tracker.errors import QueryError
from tracker.sinks.clickhouse import engine_of, layout_of
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_engine import Complaint, Engine, Settings, Unreachable
from tracker.sinks.clickhouse_errors import name_of
from tracker.sinks.registry import SinkSettings

ANSWER_SECONDS = 6 * 3600.0
"""How long one statement may take: a mutation writes whole parts again."""
MUTATING: Settings = {
    "allow_nondeterministic_mutations": 1,  # a subquery asks the replica's own rows, which is meant
    "distributed_ddl_task_timeout": int(ANSWER_SECONDS),
    "mutations_sync": 2,
}


@dataclass(frozen=True, slots=True)
class At:
    """One server or cluster, or the engine in this process, that holds rows of its own."""

    settings: SinkSettings
    engine: Engine
    form: Place
    """How its tables lie."""


async def assert_there(settings: SinkSettings) -> None:
    """Raise QueryError where an engine in this process would make a store that is not there yet."""
    if settings.server is None and not await asyncio.to_thread(Path(settings.context).exists):
        raise QueryError(f"{settings.context}: no such folder; nothing has been stored there yet")


@asynccontextmanager
async def opened(settings: SinkSettings, purpose: str) -> AsyncIterator[Sequence[At]]:
    """Every place, each with its own folder, named by the purpose, to hand over by. Raises QueryError."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_at(place)) for place in _places(settings, purpose)]


async def first_open(name: str, engines: Iterable[Engine]) -> Engine:
    """The first that answers of the store of this name. Raises QueryError with what the last one said."""
    failure = QueryError(f"{name} has no host")
    for engine in engines:
        try:
            with translated(engine):
                await engine.open()
                await engine.ask("SELECT 1", anywhere=True)
        except QueryError as error:
            await engine.close()
            failure = error
        else:
            return engine
    raise failure


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """What an engine says, without any value of a statement."""
    try:
        yield
    except Complaint as error:
        raise QueryError(f"clickhouse {engine.place}: {name_of(error)}") from None
    except Unreachable as error:
        raise QueryError(f"clickhouse {engine.place}: {error.reason}") from None


def _places(settings: SinkSettings, purpose: str) -> Sequence[SinkSettings]:
    own = replace(settings, handover=settings.handover.with_name(f"{settings.handover.name}-{purpose}"))
    server = settings.server
    if server is None or server.cluster:
        return [own]
    return [replace(own, server=replace(server, hosts=(host,))) for host in server.hosts]


@asynccontextmanager
async def _at(settings: SinkSettings) -> AsyncIterator[At]:
    hosts = range(len(settings.server.hosts) if settings.server else 1)
    engine = await first_open(settings.name, (engine_of(settings, host, ANSWER_SECONDS) for host in hosts))
    try:
        yield At(settings, engine, Place(engine.database, layout_of(settings).cluster))
    finally:
        await engine.close()
