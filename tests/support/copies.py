"""Stores copied into a folder and back, as the commands do it, with sinks and files of a test's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.batches import batch
from tests.support.clickhouse import made_before
from tracker.commands.backup_folder import BackupFolder, File
from tracker.commands.backup_writing import write
from tracker.errors import TrackerError
from tracker.sinks.backup import restore, snapshot_of, stream
from tracker.sinks.base import Sink
from tracker.sinks.registry import SinkSettings, make_sink

SERVICES = ("duckdb", "clickhouse")


def store_in(folder: Path, service: str) -> SinkSettings:
    """A store of its own; a ClickHouse one has its schema already."""
    if service == "clickhouse":
        return made_before(folder)
    file = folder / "tracker.duckdb"
    return SinkSettings(name="duckdb:test", service="duckdb", context=str(file), handover=folder / "handover")


async def store(settings: SinkSettings, rows: Sequence[dict[str, Any]], table: str = "events") -> None:
    """Write rows, with no server about."""
    sink = make_sink(settings)
    try:
        await sink.open()
        await sink.write(batch(rows, table))
    finally:
        await sink.close()


async def copied(settings: SinkSettings, folder: Path, sink: Sink | None = None) -> BackupFolder:
    """A new backup in this folder."""
    await write(stream(snapshot_of(settings, sink), settings), folder, {"made_at": "now"})
    return BackupFolder.open(folder)


async def files_of(settings: SinkSettings, folder: Path) -> Mapping[str, File]:
    """What a new backup holds: equal stores have equal digests."""
    return await write(stream(snapshot_of(settings, None), settings), folder, {})


async def digests(settings: SinkSettings, folder: Path) -> dict[str, tuple[int, str]]:
    """Rows and digest of each table but the ledger."""
    files = await files_of(settings, folder)
    return {name: (file.rows, file.digest) for name, file in files.items() if name != "ledger"}


async def refusal(settings: SinkSettings, copy: BackupFolder) -> str:
    """Why it cannot be restored."""
    try:
        await restore(settings, copy)
    except TrackerError as failure:
        return str(failure)
    raise AssertionError("it was restored")
