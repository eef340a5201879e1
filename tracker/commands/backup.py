"""`backup` and `restore`: a store into a folder, and back into the same or another store."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracker import __version__
from tracker.commands.backup_folder import BackupFolder
from tracker.commands.backup_writing import write
from tracker.commands.client import ControlClient
from tracker.commands.local import open_spool
from tracker.commands.settings import load_config, store_to_ask
from tracker.config import Config
from tracker.errors import TrackerError
from tracker.settings import sink_settings
from tracker.sinks.backup import LEDGER, restore, snapshot_of, stream
from tracker.sinks.registry import SinkSettings
from tracker.web.control_socket import is_listening


async def run_backup(config_file: Path, store: str, folder: Path) -> int:
    """Copy the store into a new or empty folder. Raises TrackerError, and leaves no half a backup."""
    config = load_config(config_file)
    service = store_to_ask(config, store, is_only=True)
    about = {
        "made_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "tracker": __version__,
        "store": service.name,
    }
    files = await write(_parts(config, sink_settings(config, service)), folder, about)
    rows = {table: file.rows for table, file in files.items() if table != LEDGER}
    print(f"OK: {service.name} into {folder}: {_said(rows)}")
    return 0


async def run_restore(config_file: Path, store: str, folder: Path) -> int:
    """Put a copy into the store, while no server runs. Raises TrackerError, InUse when one does."""
    config = load_config(config_file)
    service = store_to_ask(config, store, is_only=True)
    if is_listening(config.admin.socket):
        raise TrackerError(f"a server runs at {config.admin.socket}: stop it first, and restore then")
    copy = BackupFolder.open(folder)
    spool = open_spool(config)  # held, so that no server starts meanwhile
    try:
        rows = await restore(sink_settings(config, service), copy)
    finally:
        spool.close()
    print(f"OK: {folder} of {copy.made_at} into {service.name}: {_said(rows)}")
    return 0


def _parts(config: Config, settings: SinkSettings) -> AsyncGenerator[bytes | Mapping[str, Any], None]:
    """Of the running server when it has the store open, else of the store itself."""
    if settings.server is None and is_listening(config.admin.socket):
        return ControlClient(config.admin.socket).stream("/backup", store=settings.name)
    return stream(snapshot_of(settings, None), settings)


def _said(rows: Mapping[str, int]) -> str:
    tables = ", ".join(f"{table} {count}" for table, count in rows.items() if count)
    return f"{sum(rows.values())} rows ({tables})" if tables else "0 rows"
