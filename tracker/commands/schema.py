"""`schema`: ClickHouse's tables and views, shown, applied or compared with those that are there."""

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tracker.commands.settings import load_config
from tracker.config import Config, Service, database, is_embedded
from tracker.errors import ConfigError, InUse, TrackerError
from tracker.settings import sink_settings
from tracker.sinks.clickhouse_engine import Complaint, Engine, Unreachable
from tracker.sinks.clickhouse_schema import FOLDER, Layout, bring_up_to_date, differences, mend
from tracker.sinks.clickhouse_source import read_source, script
from tracker.sinks.registry import SinkSettings
from tracker.web.control_socket import is_listening

DEFAULT_CLUSTER = "tracker_cluster"
DEFAULT_DATABASE = "sfpla"
ANSWER_SECONDS = 120.0
"""Longer than a cluster's servers wait for one another."""

WARNING = """-- By hand only where no table has the name of one of these views: ClickHouse would drop it.
-- `{apply}` looks first, and refuses."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    form: Literal["single", "cluster"]
    action: Literal["print", "apply", "diff"]
    cluster_name: str
    """'' for the configuration's, or the usual one."""


async def run(config_file: Path, wanted: Wanted) -> int:
    """Show, apply or compare; 1 when something differs. Raises TrackerError."""
    if wanted.action == "print":
        return _print(config_file, wanted)
    config = load_config(config_file)
    service = _service(config)
    if service is None:
        raise ConfigError("Notify has no ClickHouse that is switched on")
    layout = _layout(config, service, wanted)
    if is_embedded(service) and is_listening(config.admin.socket):
        raise InUse(f"the server that runs has {service.context} open; it applies the schema when it starts")
    codes = [
        await _one(settings, layout, wanted)
        for settings in _each_alone(sink_settings(config, service), layout)
    ]
    return max(codes)


async def _one(settings: SinkSettings, layout: Layout, wanted: Wanted) -> int:
    async with _engine(settings) as engine:
        if wanted.action == "apply":
            await bring_up_to_date(engine, FOLDER, layout)
            await mend(engine, FOLDER, layout)
        return _told(await differences(engine, layout), engine)


def _each_alone(settings: SinkSettings, layout: Layout) -> Iterator[SinkSettings]:
    """Servers without a cluster have tables of their own each; a cluster is told through one."""
    server = settings.server
    if server is None or layout.cluster:
        yield settings
        return
    for host in server.hosts:
        yield replace(settings, server=replace(server, hosts=(host,)))


def _print(config_file: Path, wanted: Wanted) -> int:
    """Needs no server and no configuration; where there is one, database and cluster are its."""
    service = _service(load_config(config_file)) if config_file.exists() else None
    name = database(service) if service else DEFAULT_DATABASE
    place = Layout(_cluster(service, wanted)).place(name)
    print(WARNING.format(apply=place.apply))
    for statement in script(read_source(FOLDER), place):
        print(f"\n{statement};")
    return 0


def _service(config: Config) -> Service | None:
    return next((one for one in config.sinks if one.service == "clickhouse"), None)


def _cluster(service: Service | None, wanted: Wanted) -> str:
    if wanted.form == "single":
        return ""
    return wanted.cluster_name or (service.cluster if service else "") or DEFAULT_CLUSTER


def _layout(config: Config, service: Service, wanted: Wanted) -> Layout:
    if service.cluster and wanted.form == "single":
        raise ConfigError(
            f"{service.name}: Cluster is {service.cluster}, so its tables are those of --clickhouse cluster"
        )
    if is_embedded(service) and wanted.form == "cluster":
        raise ConfigError(f"{service.name}: the embedded engine has no cluster; use --clickhouse single")
    settings = sink_settings(config, service)
    return Layout(_cluster(service, wanted), settings.durability, settings.ttl_seconds)


@asynccontextmanager
async def _engine(settings: SinkSettings) -> AsyncIterator[Engine]:
    """The first host, open. Raises TrackerError for whatever goes wrong there."""
    from tracker.sinks.clickhouse import engine_of  # the driver is heavy, and --print needs none

    engine = engine_of(settings, answer_seconds=ANSWER_SECONDS)
    try:
        await engine.open()
        yield engine
    except Complaint as complaint:
        raise TrackerError(f"{engine.place}: {complaint.text.strip().partition(chr(10))[0]}") from complaint
    except Unreachable as failure:
        raise TrackerError(f"{engine.place}: {failure.reason}") from failure
    finally:
        await engine.close()


def _told(found: Mapping[str, str], engine: Engine) -> int:
    if not found:
        print(f"OK: {engine.place}, database {engine.database}: every table is as it must be")
        return 0
    for difference in found.values():
        print(f"tracker: {difference}", file=sys.stderr)
    return 1
