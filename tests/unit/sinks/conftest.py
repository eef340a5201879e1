"""A DuckDB sink of its own for every test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.sinks.places import settings_in
from tracker.sinks.duckdb import DuckDbSettings, DuckDbSink


@pytest.fixture
def settings(tmp_path: Path) -> DuckDbSettings:
    return settings_in(tmp_path)


@pytest.fixture
async def sink(settings: DuckDbSettings) -> AsyncIterator[DuckDbSink]:
    sink = DuckDbSink(settings)
    await sink.open()
    yield sink
    await sink.close()
