"""`send`: lines of JSON to the running server, which stores them as they arrive."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from tracker.commands.client import ControlClient, NotRunning, Refused
from tracker.commands.settings import load_config
from tracker.errors import TrackerError

CHUNK_BYTES = 64 * 1024


async def run(config_file: Path, kind: str, source: str) -> int:
    """Send a file or, for `-`, standard input; 0 when all was accepted, else 1 and the lines are named."""
    config = load_config(config_file)
    descriptor = _opened(source)
    client = ControlClient(config.admin.socket)
    try:
        told = await client.upload("/send", _chunks(descriptor), kind=kind)
    except NotRunning as failure:
        raise NotRunning(f"send needs a running server; {failure}") from failure
    except Refused as refusal:
        if "accepted" not in refusal.told:
            raise
        _print(dict(refusal.told))
        through = refusal.told.get("stored_through", 0)
        print(f"tracker: {refusal}; send the lines after {through} again later", file=sys.stderr)
        return 1
    _print(told)
    return 1 if told["rejected"] else 0


def _opened(source: str) -> int:
    if source == "-":
        return sys.stdin.fileno()
    if Path(source).is_dir():
        raise TrackerError(f"cannot read {source}: it is a folder")
    try:
        return os.open(source, os.O_RDONLY)
    except OSError as failure:
        raise TrackerError(f"cannot read {source}: {failure.strerror}") from failure


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[bytes | OSError] = asyncio.Queue(maxsize=1)
    loop = asyncio.get_running_loop()
    # A thread that dies with the process: a read from a terminal cannot be interrupted, and Ctrl-C must work.
    threading.Thread(target=_read, args=(descriptor, queue, loop), daemon=True).start()
    while chunk := await queue.get():
        if isinstance(chunk, OSError):
            raise TrackerError(f"cannot read on: {chunk.strerror}") from chunk
        yield chunk


def _read(descriptor: int, queue: "asyncio.Queue[bytes | OSError]", loop: asyncio.AbstractEventLoop) -> None:
    chunk: bytes | OSError = b""
    while True:
        try:
            chunk = os.read(descriptor, CHUNK_BYTES)
        except OSError as failure:
            chunk = failure
        if not _handed_over(chunk, queue, loop) or not chunk or isinstance(chunk, OSError):
            return


def _handed_over(
    chunk: bytes | OSError, queue: "asyncio.Queue[bytes | OSError]", loop: asyncio.AbstractEventLoop
) -> bool:
    offer = queue.put(chunk)
    try:
        asyncio.run_coroutine_threadsafe(offer, loop).result()
    except (RuntimeError, CancelledError):
        # The loop has ended: the answer came before the input did.
        offer.close()
        return False
    return True


def _print(told: dict[str, Any]) -> None:
    print(f"{told['accepted']} accepted, {told['rejected']} rejected")
    for one in told["reasons"]:
        print(f"line {one['line']}: {one['reason']}", file=sys.stderr)
    unnamed = told["rejected"] - len(told["reasons"])
    if unnamed:
        print(f"and {unnamed} more lines", file=sys.stderr)
