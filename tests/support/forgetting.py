"""Rows taken out of a spool as the server does it, in one whole pass."""

from collections import Counter
from functools import partial

from tests.support.spools import names
from tracker.batching import judged_rows
from tracker.batching.judged_rows import GONE, Judge
from tracker.batching.person_rows import _letters, _replay, _rows
from tracker.batching.removing import Removed
from tracker.batching.spool import Spool


class Named(Judge):
    """Rows of these names go."""

    def __init__(self, *gone: str) -> None:
        self.gone = set(gone)

    def may_concern(self, data: bytes) -> bool:
        return any(name.encode() in data for name in self.gone)

    def line(self, table: str, line: bytes) -> bytes:
        return GONE if names(line)[0] in self.gone else line


def remove(spool: Spool, judge: Judge) -> tuple[Counter[tuple[str, str]], int]:
    """One whole pass, as the server makes it: what was dropped, and how many rows are left."""
    dropped: Counter[tuple[str, str]] = Counter()
    left = after = 0

    def done(removed: Removed) -> int:
        dropped.update(removed.dropped)
        return removed.left

    newest = spool.ask(judged_rows.newest_chunk)
    while judged := spool.ask(partial(judged_rows.in_chunks, judge, after, newest)):
        after = judged.upto
        for table, changes in judged.rows.items():
            left += done(spool.remove(partial(_rows, table, changes)))
    after = 0
    while letters := spool.ask(partial(judged_rows.in_letters, judge, after)):
        after = letters[1]
        done(spool.remove(partial(_letters, letters[0])))
    after = 0
    while found := spool.ask(partial(judged_rows.in_replay, judge, after)):
        batch, changes, after = found
        if changes:
            left += done(spool.remove(partial(_replay, batch, changes)))
    return dropped, left


class Everything(Judge):
    """Rows with this text go."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def may_concern(self, data: bytes) -> bool:
        return self.text in data

    def line(self, table: str, line: bytes) -> bytes:
        return GONE if self.text in line else line


def scrub(spool: Spool) -> None:
    cleaning = spool.scrub()
    while cleaning.step():
        pass
    assert any(spool.empty_log() for _ in range(1000))  # what moves the log may be at it
