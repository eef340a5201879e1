"""ClickHouse's own engine in the process of a test, and sinks over it.

A process can have one folder open at a time, whatever opened it; once all is closed it can open another. So
each test has a folder of its own, and closes it.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.services import needed
from tracker.sinks.clickhouse import ClickHouseSink
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.registry import SinkSettings

DATABASE = "sfpla"


def clickhouse_settings(folder: Path, **changes: Any) -> SinkSettings:
    """Of a sink over the embedded engine in `folder`; with `server`, over servers."""
    if changes.get("server") is None and find_spec("chdb") is None:
        needed("chdb")
    place = str(folder / "clickhouse")
    given = {"name": "clickhouse:test", "service": "clickhouse", "handover": folder / "handover"}
    return SinkSettings(**{**given, "context": place, **changes})


def made_before(folder: Path) -> SinkSettings:
    """Of a sink over a folder that has the schema already: it opens in a tenth of the time."""
    settings = clickhouse_settings(folder)
    if not Path(settings.context).exists():
        shutil.copytree(_made(), settings.context, symlinks=True)
    return settings


@cache
def _made() -> Path:
    """A folder with the schema and no rows, once for this process."""
    folder = Path(tempfile.mkdtemp(prefix="clickhouse-made-"))
    with ThreadPoolExecutor(1) as thread:  # it has a loop of its own, wherever this is called
        thread.submit(asyncio.run, _make(folder)).result()
    return folder / "clickhouse"


async def _make(folder: Path) -> None:
    sink = ClickHouseSink(clickhouse_settings(folder))
    await sink.open()
    await sink.close()


@asynccontextmanager
async def embedded_engine(folder: Path, database: str = DATABASE) -> AsyncIterator[EmbeddedEngine]:
    """An open engine over `folder` whose database is there and, in a new folder, empty."""
    settings = clickhouse_settings(folder)
    engine = EmbeddedEngine(Path(settings.context), database, settings.handover)
    await engine.open()
    try:
        await engine.command(f"CREATE DATABASE IF NOT EXISTS {database}", anywhere=True)
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def made_engine(folder: Path) -> AsyncIterator[EmbeddedEngine]:
    """An open engine over a folder that has the schema already."""
    made_before(folder)
    async with embedded_engine(folder) as engine:
        yield engine


async def rows_of(engine: EmbeddedEngine, sql: str) -> list[dict[str, Any]]:
    """What a question answers, by column."""
    return (await engine.ask(sql)).dicts()


def without_nothings(document: Any) -> Any:
    """What ClickHouse keeps of a JSON document: not the keys of nulls and empty objects."""
    if isinstance(document, list):
        return [without_nothings(part) for part in document]
    if not isinstance(document, dict):
        return document
    parts = {key: without_nothings(part) for key, part in document.items()}
    return {key: part for key, part in parts.items() if part is not None and part != {}}
