"""ClickHouse asked directly, while no server of this project runs."""

from functools import partial
from pathlib import Path

from tracker.errors import QueryError
from tracker.sinks.clickhouse import engine_of
from tracker.sinks.clickhouse_store import Questions
from tracker.sinks.registry import SinkSettings


def to_ask(settings: SinkSettings) -> Questions:
    """As the registry wants it: asks the servers in order, or the engine in this process.

    Raises QueryError when there is no such folder yet: asking makes none.
    """
    server = settings.server
    if server is None and not Path(settings.context).is_dir():
        raise QueryError(f"{settings.context}: no such folder; nothing has been stored there yet")
    places = range(len(server.hosts) if server else 1)
    return Questions([partial(engine_of, settings, place) for place in places])
