"""The command line inside the test's process, in a thread beside the loop that serves it."""

import asyncio
import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tracker.cli import main


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended."""

    code: int
    out: str
    err: str


def typed_here(*arguments: str) -> Ending:
    """Run one command line in this thread; a usage error's exit is its code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(arguments))
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Ending(code, out.getvalue(), err.getvalue())


async def typed(folder: Path, *arguments: str, stdin: bytes = b"") -> Ending:
    """Run one command with the folder's config.json and these bytes as standard input. One at a time."""
    command, *rest = arguments
    (folder / "stdin").write_bytes(stdin)
    with (folder / "stdin").open(encoding="utf-8") as source, mock.patch.object(sys, "stdin", source):
        config = str(folder / "config.json")
        return await asyncio.to_thread(typed_here, command, "--config", config, *rest)
