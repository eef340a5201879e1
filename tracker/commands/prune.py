"""`--prune`: old rows out of every configured store: by the running server, or directly when none runs."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.batching.oldest import oldest_row
from tracker.commands.client import ControlClient, NotRunning
from tracker.commands.local import open_spool
from tracker.commands.prune_note import note_done_before
from tracker.commands.render import records_as_table, to_json
from tracker.commands.settings import load_and_warn
from tracker.config import Config
from tracker.errors import ConfigError
from tracker.retaining import retention_of

COLUMNS = ("store", "table", "action", "older_than", "rows_before", "due", "pruned", "left", "rows_after")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed."""

    logs_only: bool = False
    is_dry: bool = False
    is_json: bool = False


async def run(
    config_file: Path, overrides: Mapping[str, str], environment: Mapping[str, str], wanted: Wanted
) -> int:
    """Prune and print what was done; 1 when a store could not be pruned. Raises TrackerError."""
    config = load_and_warn(config_file, overrides, environment).config
    if not config.sinks:
        raise ConfigError(f"{config_file}: Notify names no store that could be pruned")
    report = await _by_server(config, wanted)
    if report is None:
        report = await _directly(config, wanted)
    if "skip_to" in report:
        note_done_before(config_file, report["skip_to"])
    print(to_json(report) if wanted.is_json else _as_text(report))
    errors = [f"{store['store']}: {store['error']}" for store in report["stores"] if store["error"]]
    for error in errors:
        print(f"tracker: not pruned: {error}", file=sys.stderr)
    return 1 if errors else 0


async def _by_server(config: Config, wanted: Wanted) -> dict[str, Any] | None:
    """None when no server runs. It prunes by the configuration with which it was started."""
    command = {"logs_only": wanted.logs_only, "dry_run": wanted.is_dry}
    try:
        return await ControlClient(config.admin.socket).post("/prune", command)
    except NotRunning:
        return None


async def _directly(config: Config, wanted: Wanted) -> dict[str, Any]:
    spool = open_spool(config)  # held, so that no server starts meanwhile

    async def oldest_waiting() -> float | None:
        return spool.ask(oldest_row)

    try:
        retention = retention_of(config, {}, oldest_waiting)
        return await retention.run(logs_only=wanted.logs_only, is_dry=wanted.is_dry)
    finally:
        spool.close()


def _as_text(report: Mapping[str, Any]) -> str:
    records = [{"store": store["store"], **table} for store in report["stores"] for table in store["tables"]]
    told = [records_as_table(records, COLUMNS)]
    if report["dry_run"]:
        told.append("Nothing was changed (--dry-run); `due` is what would be.")
    if "skip_to" in report:
        told.append(f"PruneSkipToTimestamp is {report['skip_to']} now.")
    return "\n".join(told)
