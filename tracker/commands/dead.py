"""`dead`: rows that a store refused, of the running server or of the file."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.commands.client import ControlClient, NotRunning
from tracker.commands.outfile import STANDARD_OUTPUT, write_out
from tracker.commands.render import as_visible, records_as_table, to_json
from tracker.commands.settings import load_config
from tracker.web.control_services import SpoolTools

LETTER_COLUMNS = ("id", "sink", "table", "at", "bytes", "reason")
SUMMARY_COLUMNS = ("sink", "table", "reason", "rows", "bytes")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters: these, or (None) all that the filters let through."""

    letters: Sequence[int] | None = None
    sink: str = ""
    table: str = ""
    reason: str = ""

    @property
    def filters(self) -> tuple[str, str, str]:
        """Sink, table, part of the reason."""
        return self.sink, self.table, self.reason


async def ls(tools: SpoolTools, which: Selection, limit: int, is_json: bool) -> int:
    """Print the dead letters that the filters let through, without their rows, and how many there are."""
    told = await tools.dead.ls(*which.filters, limit)
    if is_json:
        print(to_json(told))
        return 0
    if told["total"]:
        print(records_as_table(told["letters"], LETTER_COLUMNS))
        print(records_as_table(told["summary"], SUMMARY_COLUMNS))
    print(f"{_letters(told['total'])}, {told['shown']} shown")
    return 0


async def show(tools: SpoolTools, letter: int, is_json: bool) -> int:
    """Print one dead letter; its row comes last, as the bytes that the sink got."""
    told = await tools.dead.show(letter)
    if told is None:
        print(f"tracker: there is no dead letter {letter}", file=sys.stderr)
        return 1
    if is_json:
        print(to_json(told))
        return 0
    for name in LETTER_COLUMNS:
        print(f"{name}: {as_visible(str(told[name]))}")
    print(told["row"])
    return 0


async def replay(tools: SpoolTools, which: Selection, edit: str) -> int:
    """Send dead letters again, edited if an edit is given; 1 when none or not all of them went."""
    return _said("sent again", await tools.dead.replay(which.letters, *which.filters, edit))


async def drop(tools: SpoolTools, which: Selection) -> int:
    """Drop dead letters for good; they count as dropped by command. 1 when none or not all of them went."""
    return _said("dropped", await tools.dead.drop(which.letters, *which.filters))


async def export(tools: SpoolTools, which: Selection, target: str, is_forced: bool) -> int:
    """Write dead letters with their rows to a file or standard output."""
    told = await write_out(tools.dead.export(*which.filters), target, is_forced)
    print(f"{_letters(told['rows'])} exported", file=sys.stderr if target == STANDARD_OUTPUT else sys.stdout)
    return 0


async def release(config_file: Path, sink: str, table: str) -> int:
    """Let a table that holds go on. Raises TrackerError when it does not hold or no server runs."""
    client = ControlClient(load_config(config_file).admin.socket)
    try:
        await client.post("/dead/release", {"sink": sink, "table": table})
    except NotRunning as failure:
        raise NotRunning(
            f"only a running server holds a table, and when it starts it tries each again; {failure}"
        ) from failure
    print("1 table released: what the store refuses of the batch at hand is put among the dead letters")
    return 0


def _said(verb: str, told: Mapping[str, Any]) -> int:
    print(f"{told['done']} {verb}" + (f", {told['edited']} edited" if told.get("edited") else ""))
    for one in told["left_letters"]:
        print(f"tracker: {one['id']} stays as it is: {as_visible(one['reason'])}", file=sys.stderr)
    if told["left"] > len(told["left_letters"]):
        print(f"tracker: {told['left']} stay as they are", file=sys.stderr)
    if told["missing"]:
        named = ", ".join(map(str, told["missing_ids"][:20]))
        print(f"tracker: {told['missing']} are no dead letters: {named}", file=sys.stderr)
    return 0 if told["done"] and not told["left"] and not told["missing"] else 1


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"
