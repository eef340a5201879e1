"""`forget` and `export`: one person's rows out of every place, or shown.

The running server does it; while none runs, spool and stores are opened directly.
"""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tracker.commands.client import ControlClient, NotRunning
from tracker.commands.local import open_spool
from tracker.commands.outfile import write_out
from tracker.commands.render import records_as_table, to_json
from tracker.commands.settings import load_config
from tracker.config import Config
from tracker.erasing import forgotten_of, procedure_of
from tracker.errors import TrackerError
from tracker.persons.procedure import Procedure

COLUMNS = ("place", "table", "before", "after")
Said = Mapping[str, Any]


async def forget(config_file: Path, said: Said, *, is_json: bool) -> int:
    """Erase and print what was found and what is left; 0 also while the receipt is open, and says of what."""
    config = load_config(config_file)
    try:
        told: Said = await ControlClient(config.admin.socket).post("/persons/forget", said)
    except NotRunning:
        async with _procedure(config) as procedure:
            told = await procedure.forget(said)
    _show(told, is_json)
    return 0


async def receipt(config_file: Path, receipt_id: str, *, is_json: bool) -> int:
    """Print a receipt."""
    config = load_config(config_file)
    try:
        told: Said | None = await ControlClient(config.admin.socket).get(f"/persons/receipts/{receipt_id}")
    except NotRunning:
        async with _procedure(config) as procedure:
            told = await procedure.receipt(receipt_id)
    if told is None:
        raise TrackerError("there is no such receipt")
    _show(told, is_json)
    return 0


async def export(config_file: Path, said: Said, target: str, *, is_forced: bool) -> int:
    """Write everything of the person as lines of JSON; 1 when a store could not be asked."""
    config = load_config(config_file)
    try:
        told = await write_out(
            ControlClient(config.admin.socket).stream("/persons/export", said), target, is_forced
        )
    except NotRunning:
        async with _procedure(config) as procedure:
            told = await write_out(procedure.export(said), target, is_forced)
    rows = ", ".join(f"{count} in {place}" for place, count in told["rows"].items())
    print(f"exported: {rows or 'nothing is known'}", file=sys.stderr)
    for name, reason in told["away"].items():
        print(f"tracker: not asked: {name}: {reason}", file=sys.stderr)
    return 1 if told["away"] else 0


@asynccontextmanager
async def _procedure(config: Config) -> AsyncIterator[Procedure]:
    """On the files themselves; the spool is held, so that no server starts meanwhile."""
    spool = open_spool(config)
    try:
        yield procedure_of(config, spool, {}, forgotten_of(config))
    finally:
        spool.close()


def _show(told: Said, is_json: bool) -> None:
    if is_json:
        print(to_json(told))
        return
    print(records_as_table(_records(told), COLUMNS))
    if told.get("dry_run"):
        print("Nothing was changed (--dry-run).")
    else:
        print(f"receipt {told['receipt']}: {told['state']}")
        for name, rows in told["dropped"].items():
            print(f"not delivered any more: {rows} of {name}")
        if told.get("under_way"):
            print(f"{told['under_way']} rows are in batches under way; what they bring is erased as well")
    for name, reason in told.get("away", {}).items():
        print(f"tracker: {name} was not reached: {reason}", file=sys.stderr)


def _records(told: Said) -> list[dict[str, Any]]:
    before, after = _flat(told["before"]), _flat(told.get("after", told["before"]))
    return [
        {
            "place": place,
            "table": table,
            "before": before.get((place, table), 0),
            "after": after.get((place, table), 0),
        }
        for place, table in sorted(before.keys() | after.keys())
    ]


def _flat(counts: Said) -> dict[tuple[str, str], Any]:
    flat: dict[tuple[str, str], Any] = {("spool", place): rows for place, rows in counts["spool"].items()}
    for name, tables in counts["stores"].items():
        flat |= (
            {(name, "*"): "not reached"}
            if tables is None
            else {(name, table): n for table, n in tables.items()}
        )
    return flat
