"""`status`: how the running server is, in a few lines or as its whole JSON."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tracker.commands.client import ControlClient
from tracker.commands.render import records_as_table, to_json
from tracker.commands.settings import load_config

TABLE_COLUMNS = (
    "sink",
    "table",
    "strategy",
    "waiting_rows",
    "oldest_age_seconds",
    "batches",
    "rows",
    "failures",
    "held",
)


async def run(config_file: Path, is_json: bool) -> int:
    """Print it. Raises NotRunning when there is no server."""
    config = load_config(config_file)
    told = await ControlClient(config.admin.socket).get("/status")
    print(to_json(told) if is_json else "\n".join(_lines(told)))
    return 0


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    metrics, batching, calculated = told["metrics"], told["batching"], told["calculated"]
    yield f"up {calculated['uptime_seconds']:.0f} s, stores {metrics['health_status']}"
    yield f"{metrics['event_count']} events accepted, {metrics['error_count']} refused"
    yield f"{batching['queued_items']} rows wait, {batching['total_batches']} batches written"
    for sink in told["sinks"]:
        trouble = f", last error: {sink['last_error']}" if sink["last_error"] else ""
        yield f"sink {sink['sink']}: breaker {sink['breaker']}{trouble}"
    if not told["conservation"]["is_kept"]:
        yield "rows are unaccounted for: see `spool verify`"
    yield records_as_table([_rounded(one) for one in told["tables"]], TABLE_COLUMNS)


def _rounded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **record,
        "oldest_age_seconds": round(record["oldest_age_seconds"], 1),
        "held": record["held"] or "",
    }
