"""`spool`: what waits, of the running server, of the spool's file, or of a file that was put aside."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tracker.batching.damaged_file import DamagedFile
from tracker.commands.client import ControlClient
from tracker.commands.local import local_spool
from tracker.commands.outfile import STANDARD_OUTPUT, write_out
from tracker.commands.remote import RemoteSpool
from tracker.commands.render import records_as_table, to_json
from tracker.commands.settings import load_config
from tracker.web.control_services import Export, SpoolTools
from tracker.web.control_socket import is_listening

TABLE_COLUMNS = ("sink", "table", "accepted", "delivered", "dead", "waiting", "dropped")


class Readable(Protocol):
    """What can be asked of every spool file, also of one that nobody can use any more."""

    async def verify(self) -> Mapping[str, Any]:
        """`ok` and `problems`."""

    def export(self) -> Export:
        """Lines of JSON; the last item has the counts."""


async def with_spool(config_file: Path, act: Callable[[SpoolTools], Awaitable[int]]) -> int:
    """Act on the running server's spool, else on the file; the file's lock refuses a second process."""
    config = load_config(config_file)
    if is_listening(config.admin.socket):
        return await act(RemoteSpool(ControlClient(config.admin.socket)))
    with local_spool(config) as tools:
        return await act(tools)


async def with_file(file: Path, act: Callable[[Readable], Awaitable[int]]) -> int:
    """Act on a spool file that was put aside, which stays as it is. Raises TrackerError."""
    with DamagedFile(file) as tools:
        return await act(tools)


async def ls(tools: SpoolTools, is_json: bool) -> int:
    """Print the conservation numbers of every table of every sink, and the spool's size."""
    told = await tools.ls()
    if is_json:
        print(to_json(told))
        return 0
    print(records_as_table([_with_text(one) for one in told["tables"]], TABLE_COLUMNS))
    print(f"{told['live_bytes']:,} of {told['max_bytes']:,} bytes wait")
    print(f"{told['dead_bytes']:,} of {told['dead_max_bytes']:,} bytes of dead letters")
    print(f"{told['remembered_ids']:,} ids remembered")
    return 0


async def verify(tools: Readable, is_json: bool) -> int:
    """Check the file and recount; 1 when something is wrong."""
    told = await tools.verify()
    if is_json:
        print(to_json(told))
    elif told["ok"]:
        print("the spool is sound")
    for problem in () if is_json else told["problems"]:
        print(f"tracker: {problem}", file=sys.stderr)
    return 0 if told["ok"] else 1


async def drop_sink(tools: SpoolTools, sink: str) -> int:
    """Give up the backlog of a sink that is no longer configured; its rows count as dropped by command."""
    print(f"{await tools.drop_sink(sink)} rows dropped")
    return 0


async def export(tools: Readable, target: str, is_forced: bool) -> int:
    """Write every row that waits to a file or standard output; 1 when some cannot be read."""
    told = await write_out(tools.export(), target, is_forced)
    print(f"{told['rows']} rows exported", file=sys.stderr if target == STANDARD_OUTPUT else sys.stdout)
    for problem in told["problems"]:
        print(f"tracker: {problem}", file=sys.stderr)
    if told["damaged"]:
        print(f"tracker: {told['damaged']} rows cannot be read", file=sys.stderr)
    return 1 if told["damaged"] or told["problems"] else 0


def _with_text(record: Mapping[str, Any]) -> dict[str, Any]:
    dropped = ", ".join(f"{reason} {rows}" for reason, rows in record["dropped"].items())
    return {**record, "dropped": dropped or "0"}
