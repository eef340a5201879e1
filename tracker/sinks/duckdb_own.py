"""A DuckDB store that a job works on: the running server's, or the file opened for the job alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from tracker.errors import QueryError, SinkUnavailable
from tracker.sinks.base import Sink
from tracker.sinks.duckdb import DuckDbSink, from_settings
from tracker.sinks.registry import SinkSettings


@asynccontextmanager
async def opened(settings: SinkSettings, sink: Sink | None) -> AsyncIterator[DuckDbSink]:
    """The sink of the running server, else one of our own. Raises QueryError."""
    if sink is not None:
        yield cast(DuckDbSink, sink)  # of this service, perhaps with something around it
        return
    if not await asyncio.to_thread(Path(settings.context).exists):
        raise QueryError(f"{settings.context}: no such file; nothing has been stored there yet")
    own = from_settings(settings)
    try:
        await own.open()
        yield own
    except SinkUnavailable as error:
        raise QueryError(error.reason) from error
    finally:
        await own.close()
