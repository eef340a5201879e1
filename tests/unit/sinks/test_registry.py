"""Which sinks there are, and that a driver is loaded only for a sink that is configured."""

import subprocess
import sys
from pathlib import Path

import pytest

from tracker.errors import ConfigError
from tracker.sinks.registry import MAKERS, SinkSettings, as_store, make_sink


def settings(service: str, folder: Path) -> SinkSettings:
    return SinkSettings(f"{service}:test", service, str(folder / "place"), handover=folder / "handover")


@pytest.mark.parametrize("service", MAKERS)
def test_every_service_can_be_made_without_being_opened(service: str, tmp_path: Path) -> None:
    sink = make_sink(settings(service, tmp_path))
    assert sink.name == f"{service}:test"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_service_is_refused_and_the_known_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'duck'; there is clickhouse, duckdb"):
        make_sink(settings("duck", tmp_path))


def test_duckdb_can_be_asked(tmp_path: Path) -> None:
    sink = make_sink(settings("duckdb", tmp_path))
    assert as_store(sink) is not None


def test_the_registry_alone_loads_no_driver() -> None:
    code = "import sys, tracker.sinks.registry; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
