"""`spool` and `dead`: what waits and what was put aside, of the running server or of the file."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.commands.client import ControlClient
from tracker.commands.local import local_spool
from tracker.commands.remote import RemoteSpool
from tracker.commands.render import records_as_table, to_json
from tracker.commands.settings import load_config
from tracker.web.control_services import SpoolTools
from tracker.web.control_socket import is_listening

TABLE_COLUMNS = ("sink", "table", "accepted", "delivered", "dead", "waiting", "dropped")
LETTER_COLUMNS = ("id", "sink", "table", "at", "bytes", "reason")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters: these, or (None) all that the filters let through."""

    letters: Sequence[int] | None = None
    sink: str = ""
    table: str = ""
    reason: str = ""


async def with_spool(config_file: Path, act: Callable[[SpoolTools], Awaitable[int]]) -> int:
    """Act on the running server's spool, else on the file; the file's lock refuses a second process."""
    config = load_config(config_file)
    if is_listening(config.admin.socket):
        return await act(RemoteSpool(ControlClient(config.admin.socket)))
    with local_spool(config) as tools:
        return await act(tools)


async def ls(tools: SpoolTools, is_json: bool) -> int:
    """Print the conservation numbers of every table of every sink, and the spool's size."""
    told = await tools.ls()
    if is_json:
        print(to_json(told))
        return 0
    print(records_as_table([_with_text(one) for one in told["tables"]], TABLE_COLUMNS))
    print(f"{told['live_bytes']:,} of {told['max_bytes']:,} bytes, {told['remembered_ids']:,} ids remembered")
    return 0


async def verify(tools: SpoolTools, is_json: bool) -> int:
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


async def dead_ls(tools: SpoolTools, selection: Selection, limit: int, is_json: bool) -> int:
    """Print the dead letters that the filters let through, without their rows."""
    told = await tools.dead_ls(selection.sink, selection.table, selection.reason, limit)
    if is_json:
        print(to_json(told["letters"]))
    else:
        print(records_as_table(told["letters"], LETTER_COLUMNS))
    if told["is_cut"]:
        print(f"tracker: cut at {limit} dead letters; see --limit", file=sys.stderr)
    return 0


async def dead_show(tools: SpoolTools, letter: int, is_json: bool) -> int:
    """Print one dead letter; its row comes last, as the bytes that the sink got."""
    told = await tools.dead_show(letter)
    if told is None:
        print(f"tracker: there is no dead letter {letter}", file=sys.stderr)
        return 1
    if is_json:
        print(to_json(told))
        return 0
    for name in LETTER_COLUMNS:
        print(f"{name}: {told[name]}")
    print(told["row"])
    return 0


async def dead_replay(tools: SpoolTools, which: Selection) -> int:
    """Send dead letters again."""
    done = await tools.dead_replay(which.letters, which.sink, which.table, which.reason)
    return _said("sent again", done, which)


async def dead_drop(tools: SpoolTools, which: Selection) -> int:
    """Drop dead letters for good; they count as dropped by command."""
    done = await tools.dead_drop(which.letters, which.sink, which.table, which.reason)
    return _said("dropped", done, which)


def _said(verb: str, done: int, which: Selection) -> int:
    print(f"{done} {verb}")
    missing = 0 if which.letters is None else len(set(which.letters)) - done
    if missing:
        print(f"tracker: {missing} of these ids are no dead letters", file=sys.stderr)
    return 1 if missing else 0


def _with_text(record: Mapping[str, Any]) -> dict[str, Any]:
    dropped = ", ".join(f"{reason} {rows}" for reason, rows in record["dropped"].items())
    return {**record, "dropped": dropped or "0"}
