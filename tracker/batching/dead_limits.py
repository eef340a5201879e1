"""How many dead letters are kept and for how long: beyond that the oldest go, whatever their sink and table.

A part of the housekeeping, in short steps. What goes is counted for good as dropped; nothing else in the
spool ever gives way to a dead letter, and no request is refused for one.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import takewhile
from sqlite3 import Connection

from tracker.batching.dead_letters import EXPIRED, NO_ROOM, DeadFilter, DeadLetter, drop, find, fitting
from tracker.batching.spool_memory import SpoolMemory
from tracker.batching.spool_values import KeptDead

log = logging.getLogger(__name__)

STEP_ROWS = 512
LOOK_EVERY_SECONDS = 60.0
"""How often the oldest is looked at, and how often at most it is said that some went."""


class DeadLimits:
    """Used by the writer's thread only. Raises CannotStore when the disk does not take it."""

    def __init__(
        self,
        memory: SpoolMemory,
        transaction: Callable[[], AbstractContextManager[Connection]],
        kept: KeptDead,
    ) -> None:
        self._memory = memory
        self._transaction = transaction
        self._kept = kept
        self._looked_at = float("-inf")
        self._said_at = float("-inf")
        self._unsaid: dict[str, int] = {}

    def step(self, now: float) -> bool:
        """One short step; True when there may be more to do at once."""
        excess = self._memory.dead_bytes - self._kept.max_bytes
        more = False
        if excess > 0:
            more = self._drop(lambda letters: surplus(letters, excess), NO_ROOM)
        elif not 0 <= now - self._looked_at < LOOK_EVERY_SECONDS:
            more = self._drop(lambda letters: overdue(letters, now - self._kept.max_age_seconds), EXPIRED)
            self._looked_at = self._looked_at if more else now
        if self._unsaid and not more and not 0 <= now - self._said_at < LOOK_EVERY_SECONDS:
            self._say(now)
        return more

    def _drop(self, choose: Callable[[Sequence[DeadLetter]], list[DeadLetter]], reason: str) -> bool:
        """Drop what is chosen of the oldest; True when that was any."""
        with self._transaction() as db:
            letters = fitting(choose(find(db, DeadFilter(), STEP_ROWS)))
            size = drop(db, letters, reason)
        self._memory.dead_bytes -= size
        if letters:
            self._unsaid[reason] = self._unsaid.get(reason, 0) + len(letters)
        return bool(letters)

    def _say(self, now: float) -> None:
        log.warning("dead letters dropped", extra={"fields": dict(self._unsaid)})
        self._unsaid.clear()
        self._said_at = now


def surplus(letters: Sequence[DeadLetter], excess: int) -> list[DeadLetter]:
    """The oldest of these, in order, whose bytes make up the excess."""
    chosen = []
    for letter in letters:
        if excess <= 0:
            break
        excess -= letter.size
        chosen.append(letter)
    return chosen


def overdue(letters: Sequence[DeadLetter], before: float) -> list[DeadLetter]:
    """The oldest of these, in order, that were put aside before this time, in Unix seconds."""
    return list(takewhile(lambda letter: letter.at < before, letters))
