"""Who may use an open database's memory. All its connections share one limit, and a checkpoint that runs out
of it makes the file unusable until it is opened again: so the writer goes before questions.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from tracker.errors import QueryError

_PATIENCE_SECONDS = 2.0
_INTERRUPT_EVERY_SECONDS = 0.02


class Room:
    """Counts the questions under way; used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asking: set[duckdb.DuckDBPyConnection] = set()
        self._is_shut = False

    @contextmanager
    def question(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Answer a question inside this; it waits while the writer is alone, QueryError if that lasts."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._is_shut, timeout=60):
                raise QueryError("the store is busy; ask again later")
            self._asking.add(cursor)
        try:
            yield
        finally:
            with self._changed:
                self._asking.discard(cursor)
                self._changed.notify_all()

    @contextmanager
    def alone(self, *, insist: bool) -> Iterator[bool]:
        """Keep questions from starting; True when none is under way. Insisting interrupts those that are.

        For the writing thread only.
        """
        with self._changed:
            self._is_shut = True
            is_alone = self._without_questions(insist)
        try:
            yield is_alone
        finally:
            with self._changed:
                self._is_shut = False
                self._changed.notify_all()

    def _without_questions(self, insist: bool) -> bool:
        tries = int(_PATIENCE_SECONDS / _INTERRUPT_EVERY_SECONDS) if insist else 0
        for _ in range(tries):
            for cursor in self._asking:
                cursor.interrupt()
            if self._changed.wait_for(lambda: not self._asking, timeout=_INTERRUPT_EVERY_SECONDS):
                break
        return not self._asking
