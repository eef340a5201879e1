"""Rows that are pending: the store is asked for them until it has them; nobody waits for that."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from tracker.errors import TrackerError
from tracker.records.memory import Memory
from tracker.records.ports import Finder, Row, WaitingRows

log = logging.getLogger(__name__)

SWEEP_SECONDS = 5.0
"""How often the store is asked."""
MISSING_SECONDS = 60.0
"""How long a row is the answer that was delivered and that the store does not show: it was refused or erased,
or a replica is late."""
KEYS_AT_ONCE = 500
MOST_ROWS = 10_000
"""Of one answer."""


class Settling:
    """Takes rows out of a memory's pending ones once the store has them, or will never have them."""

    def __init__(
        self,
        memory: Memory,
        table: str,
        column: str,
        store: Finder | None,
        waiting: WaitingRows | None,
        clock: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._table = table
        self._column = column
        self._store = store
        self._waiting = waiting
        self._clock = clock
        self._missing: dict[str, float] = {}

    async def run(self) -> None:
        """Go on for ever: it is ended by cancelling it."""
        while True:
            try:
                is_more = await self.settle_some()
            except TrackerError:
                is_more = False  # the store is away, or the spool cannot be read: it shows elsewhere
            except Exception:  # nobody awaits this task: a bug must show up here or nowhere
                log.exception("pending rows not settled", extra={"fields": {"table": self._table}})
                is_more = False
            await asyncio.sleep(0.1 if is_more else SWEEP_SECONDS)

    async def settle_some(self) -> bool:
        """Ask the store for some of what is pending; True when it had them and there are more."""
        pending, lost = self._memory.pending, self._memory.pending.lost
        asked = {key: pending.newest(key) for key in pending.oldest(KEYS_AT_ONCE)}
        if self._store is None or not (asked or lost):
            return False
        is_delivered = self._waiting is not None and await self._waiting.is_empty(self._table)
        if asked:
            where = {self._column: list(asked)}
            pending.settle(await self._store.find(self._table, where, limit=MOST_ROWS))
        if is_delivered:
            pending.nothing_lost(since=lost)
            self._give_up(asked)
        return len(pending) > 0 and not any(pending.newest(key) for key in asked)

    def _give_up(self, asked: Mapping[str, Row | None]) -> None:
        """Nothing waits; what the store does not show for long, it refused, or somebody erased it."""
        now = self._clock()
        missing = [
            key for key, row in asked.items() if row is not None and self._memory.pending.newest(key) == row
        ]
        since = {key: self._missing.get(key, now) for key in missing}
        self._missing = {
            key: at for key, at in {**self._missing, **since}.items() if key not in asked or key in since
        }
        for key, at in since.items():
            if now - at >= MISSING_SECONDS:
                del self._missing[key]
                self._memory.forget(key)
