"""A DuckDB sink of its own for every test."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.sinks.places import settings_in
from tracker.sinks.duckdb import DuckDbSettings, DuckDbSink


@pytest.fixture
def settings(tmp_path: Path) -> DuckDbSettings:
    return settings_in(tmp_path)


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database as it is made when there is none; making one takes a third of a second."""
    folder = tmp_path_factory.mktemp("new")

    async def make() -> None:
        sink = DuckDbSink(settings_in(folder))
        await sink.open()
        await sink.close()

    asyncio.run(make())
    return settings_in(folder).database.parent


@pytest.fixture
async def sink(settings: DuckDbSettings, new_database: Path) -> AsyncIterator[DuckDbSink]:
    shutil.copytree(new_database, settings.database.parent, dirs_exist_ok=True)
    sink = DuckDbSink(settings)
    await sink.open()
    yield sink
    await sink.close()
