"""A bell for one event loop: it wakes everyone who waits at that moment and keeps no memory of it."""

import asyncio


class Signal:
    """Many may wait; each `fire` wakes them all once."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Wake everyone who waits."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, seconds: float | None) -> bool:
        """Wait for the next `fire`, at most so long (None = as long as it takes); False when time ran out."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=seconds)
            return waiter.done()
        finally:
            self._waiters.discard(waiter)
