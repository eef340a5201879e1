"""One person's rows in an open spool: counted, shown, taken out, in short steps beside the commits.

Who is meant is the judge's business; how rows are taken out is `removing`'s.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from tracker.batching import judged_rows
from tracker.batching.judged_rows import Changes, Judge
from tracker.batching.removing import Removal, Removed
from tracker.batching.running import Run, directly
from tracker.batching.spool import Spool

WAITING, DEAD = "waiting", "dead"
_TRIES = 20
_TRY_AGAIN_SECONDS = 0.05


class SpoolPersons:
    """`write` and `read` run a function on the spool's writing or reading thread."""

    def __init__(self, spool: Spool, write: Run = directly, read: Run = directly) -> None:
        self._spool = spool
        self._write = write
        self._read = read

    async def remove(self, judge: Judge) -> Removed:
        """Carry out what is judged of every row that waits. Raises CannotStore, SpoolDamaged."""
        dropped: Counter[tuple[str, str]] = Counter()
        left = 0
        async for change in self._changes(judge):
            removed = await self._write(self._spool.remove, change)
            dropped.update(removed.dropped)
            left += removed.left
        return Removed(dropped, left)

    async def counts(self, judge: Judge) -> dict[str, int]:
        """Lines that would be changed, in chunks and batches and among the dead letters."""
        found: Counter[str] = Counter({WAITING: 0, DEAD: 0})
        async for place, _, _ in self.lines(judge):
            found[place] += 1
        return dict(found)

    async def lines(self, judge: Judge) -> AsyncGenerator[tuple[str, str, bytes], None]:
        """Place, table and line of each that would be changed, as they are."""
        newest, after = await self._ask(judged_rows.newest_chunk), 0
        while found := await self._ask(partial(judged_rows.lines_in_chunks, judge, after, newest)):
            after = found[1]
            for table, line in found[0]:
                yield WAITING, table, line
        for place, step in ((DEAD, judged_rows.lines_in_letters), (WAITING, judged_rows.lines_in_replay)):
            after = 0
            while found := await self._ask(partial(step, judge, after)):
                after = found[1]
                for table, line in found[0]:
                    yield place, table, line

    async def scrub(self) -> bool:
        """Overwrite free pages and empty the log; False when somebody reads from it all the time."""
        cleaning = self._spool.scrub()
        while await self._write(cleaning.step):
            pass  # what others want of that thread goes between two steps
        for _ in range(_TRIES):
            if await self._write(self._spool.empty_log):
                return True
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        return False

    async def _changes(self, judge: Judge) -> "AsyncGenerator[partial[Removed], None]":
        newest, after = await self._ask(judged_rows.newest_chunk), 0
        while judged := await self._ask(partial(judged_rows.in_chunks, judge, after, newest)):
            after = judged.upto
            for table, changes in judged.rows.items():
                yield partial(_rows, table, changes)
        after = 0
        while letters := await self._ask(partial(judged_rows.in_letters, judge, after)):
            after = letters[1]
            if letters[0]:
                yield partial(_letters, letters[0])
        after = 0
        while found := await self._ask(partial(judged_rows.in_replay, judge, after)):
            batch, changes, after = found
            if changes:
                yield partial(_replay, batch, changes)

    async def _ask(self, question: Any) -> Any:
        return await self._read(self._spool.ask, question)


def _rows(table: str, changes: Changes, removal: Removal) -> Removed:
    return removal.rows(table, changes)


def _letters(changes: Changes, removal: Removal) -> Removed:
    return removal.letters(changes)


def _replay(batch: str, changes: Changes, removal: Removal) -> Removed:
    return removal.replay(batch, changes)
