"""`--check`: whether a server could start with this configuration, by opening what it would open."""

import sys
from collections.abc import Mapping
from pathlib import Path

from tracker.commands.local import open_spool
from tracker.commands.settings import load_and_warn
from tracker.config import Config, Service
from tracker.errors import SinkError, TrackerError
from tracker.geo.opening import Unusable, open_database
from tracker.settings import address_databases, sink_settings
from tracker.sinks.registry import make_sink
from tracker.web.control_socket import is_listening


async def run(config_file: Path, overrides: Mapping[str, str], environment: Mapping[str, str]) -> int:
    """Say what is in order and what is not; 0 when everything is. Raises ConfigError.

    Makes the spool and the stores' files when they are not there yet, as a first start would. While a server
    runs it has them open, and only the configuration and the address databases are checked.
    """
    config = load_and_warn(config_file, overrides, environment).config
    print("OK: configuration")
    found = [_address_database(path) for path in address_databases(config)]
    if is_listening(config.admin.socket):
        print("OK: a server runs; it has the spool and the stores open")
    else:
        found.append(_spool(config))
        for service in config.sinks:
            found.append(await _sink(config, service))
    failures = [failure for failure in found if failure is not None]
    for failure in failures:
        print(f"tracker: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _spool(config: Config) -> str | None:
    try:
        open_spool(config).close()
    except TrackerError as failure:
        return f"spool: {failure}"
    print(f"OK: spool {config.spool.path}")
    return None


def _address_database(path: Path) -> str | None:
    try:
        database = open_database(path)
    except Unusable as failure:
        return f"address database {failure}"
    database.close()
    print(f"OK: address database {path} ({database.kind})")
    return None


async def _sink(config: Config, service: Service) -> str | None:
    sink = make_sink(sink_settings(config, service))
    try:
        await sink.open()
        await sink.check()
    except SinkError as failure:
        return f"sink {service.name}: {failure}"
    finally:
        await sink.close()
    print(f"OK: sink {service.name}")
    return None
