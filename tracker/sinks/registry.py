"""Which sinks there are: the service's name in the configuration -> what makes it.

A new sink is one file and one line here. Its module, and with it the driver, is imported
only when it is configured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import cast

from tracker.errors import ConfigError
from tracker.sinks.base import Sink, Store

SCHEMA = Path(__file__).parents[2] / "schema"
"""The repository's folder of numbered SQL, one folder per service."""


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


MAKERS = MappingProxyType(
    {
        "duckdb": "tracker.sinks.duckdb:from_settings",
    }
)
"""Service -> module:function that takes SinkSettings and returns a Sink that is not open yet."""


def make_sink(settings: SinkSettings) -> Sink:
    """The sink of this service, not open yet. Raises ConfigError for a service that is not known."""
    if settings.service not in MAKERS:
        raise ConfigError(f"no sink for service {settings.service!r}; there is {', '.join(MAKERS)}")
    module, _, function = MAKERS[settings.service].partition(":")
    maker = cast(Callable[[SinkSettings], Sink], getattr(import_module(module), function))
    return maker(settings)


def as_store(sink: Sink) -> Store | None:
    """The sink as one that can be asked, None when it cannot."""
    return cast(Store, sink) if callable(getattr(sink, "query", None)) else None
