"""Jobs that a DuckDB store has running in its threads: waited for with a bound, and stopped."""

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import duckdb

_STOP_SECONDS = 2.0
_INTERRUPT_EVERY_SECONDS = 0.02


async def ended(job: "Future[Any]", timeout_seconds: float) -> bool:
    """Wait for a thread's job, not for what came of it; False when it takes longer."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    job.add_done_callback(lambda _: _tell(loop, over))
    try:
        async with asyncio.timeout(timeout_seconds):
            await over.wait()
    except TimeoutError:
        return False
    return True


def _tell(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    """Set an event from another thread; nobody waits for it any more when its loop has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(over.set)


async def stop(job: "Future[Any]", cursor: duckdb.DuckDBPyConnection) -> None:
    """Interrupt until the thread has noticed: an interrupt between two steps of a question goes unheard."""
    if job.cancel():
        cursor.close()
        return
    for _ in range(int(_STOP_SECONDS / _INTERRUPT_EVERY_SECONDS)):
        if job.done():
            return
        with suppress(duckdb.ConnectionException):  # the thread closes its cursor just before it is done
            cursor.interrupt()
        await asyncio.sleep(_INTERRUPT_EVERY_SECONDS)
