"""Which sinks there are: the service's name in the configuration -> what makes it.

A new sink is one file and one line here. Its module, and with it the driver, is imported
only when it is configured.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast

from tracker.errors import ConfigError
from tracker.sinks.base import Sink, Store

SCHEMA = Path(__file__).parents[2] / "schema"
"""The repository's folder of numbered SQL, one folder per service."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a store's servers are and how to come in; nothing here for a store in this process."""

    hosts: tuple[tuple[str, int], ...]
    """Name or address, and port, in the order in which they are tried."""
    database: str
    username: str = ""
    password: str = field(default="", repr=False)
    is_tls: bool = False
    is_verified: bool = False
    """The server's certificate is checked."""
    ca_cert: Path | None = None
    cert: Path | None = None
    key: Path | None = field(default=None, repr=False)
    cluster: str = ""
    """The hosts are replicas and shards of this cluster; '' when each is on its own."""
    compression: Literal["lz4", "zstd", "none"] = "lz4"
    connections: int = 8
    connect_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What app.py knows of a sink when it makes it."""

    name: str
    service: str
    context: str
    """Database file, keyspace, subject: what the service calls its place."""
    handover: Path
    """A folder in which this process alone hands files over."""
    export: Path | None = None
    """The folder exports may be written to."""
    schema: Path = SCHEMA
    server: Server | None = None
    """None: the store is in this process, at `context`."""
    durability: Literal["power-loss", "process-crash", "memory"] = "power-loss"
    """What a row that was written must survive."""
    write_seconds: float = 60.0
    """Delivery gives a write up after this."""
    ttl_seconds: Mapping[str, float] = field(default_factory=dict)
    """Age at which rows of a table are dropped, by table; others stay."""


MAKERS = MappingProxyType(
    {
        "clickhouse": "tracker.sinks.clickhouse:from_settings",
        "duckdb": "tracker.sinks.duckdb:from_settings",
    }
)
"""Service -> module:function that takes SinkSettings and returns a Sink that is not open yet."""


ASKERS = MappingProxyType(
    {
        "clickhouse": "tracker.sinks.clickhouse_asked:to_ask",
        "duckdb": "tracker.sinks.duckdb_store:to_ask",
    }
)
"""Service whose stores can answer -> module:function that takes SinkSettings and returns an asynchronous
context with a Store to ask, for when no server has it open. Making or entering it raises QueryError."""


BACKUPS = MappingProxyType(
    {"clickhouse": "tracker.sinks.clickhouse_backup", "duckdb": "tracker.sinks.duckdb_backup"}
)
"""Service -> module that copies and restores it; see `backup`."""

PRUNERS = MappingProxyType(
    {"clickhouse": "tracker.sinks.clickhouse_prune", "duckdb": "tracker.sinks.duckdb_prune"}
)
"""Service -> module that prunes it; see `pruning`."""

ERASERS = MappingProxyType(
    {"clickhouse": "tracker.sinks.clickhouse_erasing", "duckdb": "tracker.sinks.duckdb_erasing"}
)
"""Service -> module that finds and erases one person's rows in it; see `erasing`."""


def make_sink(settings: SinkSettings) -> Sink:
    """The sink of this service, not open yet. Raises ConfigError for a service that is not known."""
    if settings.service not in MAKERS:
        raise ConfigError(f"no sink for service {settings.service!r}; there is {', '.join(MAKERS)}")
    return cast(Sink, _made(MAKERS[settings.service], settings))


def to_ask(settings: SinkSettings) -> AbstractAsyncContextManager[Store]:
    """The store of a service in ASKERS, to be asked directly; nothing is made where there is none yet."""
    return cast(AbstractAsyncContextManager[Store], _made(ASKERS[settings.service], settings))


def _made(place: str, settings: SinkSettings) -> object:
    module, _, function = place.partition(":")
    maker = cast(Callable[[SinkSettings], object], getattr(import_module(module), function))
    return maker(settings)


def as_store(sink: Sink) -> Store | None:
    """The sink as one that can be asked, None when it cannot."""
    return cast(Store, sink) if callable(getattr(sink, "query", None)) else None
