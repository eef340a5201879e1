"""What a person may do to a spool: look, check, replay and drop. The same whether a server runs on it or not.

Everything comes back ready for JSON. Who asks and how it is shown is the commands' business.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from tracker.batching.dead_letters import DeadFilter, DeadLetter
from tracker.batching.spool import Spool
from tracker.batching.totals import Total
from tracker.clock import timestamp_text

T = TypeVar("T")


class Run(Protocol):
    """Runs a function of the spool on the thread that may call it."""

    def __call__(self, function: Callable[..., T], /, *args: Any) -> Awaitable[T]:
        """What the function returns or raises."""


async def directly(function: Callable[..., T], /, *args: Any) -> T:
    """Run it here and now: for a process that has the spool to itself."""
    return function(*args)


class SpoolTools:
    """Tools on an open spool.

    `write` and `read` run a function on the spool's writing or reading thread, `clock` gives Unix seconds,
    `replay` (the batcher's) tells delivery of what waits again; without it nobody needs to be told.
    """

    def __init__(
        self,
        spool: Spool,
        clock: Callable[[], float],
        write: Run = directly,
        read: Run = directly,
        replay: Callable[[Iterable[int] | None, DeadFilter], Awaitable[int]] | None = None,
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._write = write
        self._read = read
        self._replay = replay

    async def ls(self) -> dict[str, Any]:
        """`tables` with the conservation numbers of each sink and table, and the spool's size."""
        totals = await self._read(self._spool.totals)
        state = self._spool.state()
        return {
            "tables": [_total(total) for total in totals],
            "live_bytes": state.live_bytes,
            "max_bytes": state.max_bytes,
            "file_bytes": state.file_bytes,
            "wal_bytes": state.wal_bytes,
            "remembered_ids": state.remembered_ids,
            "unfinished_batches": state.unfinished_batches,
        }

    async def verify(self) -> dict[str, Any]:
        """Read and check everything: `ok`, `problems`, and how much there was."""
        verdict = await self._read(self._spool.verify)
        return {
            "ok": verdict.is_sound,
            "problems": list(verdict.problems),
            "chunks": verdict.chunks,
            "rows": verdict.rows,
            "batches": verdict.batches,
            "dead": verdict.dead,
        }

    async def drop_sink(self, sink: str) -> int:
        """Give up the backlog of a sink that is no longer configured; how many rows."""
        return await self._write(self._spool.drop_sink, sink)

    async def dead_ls(self, sink: str, table: str, reason: str, limit: int) -> dict[str, Any]:
        """`letters`, oldest first, without their rows; `is_cut` says that there are more than `limit`."""
        found = await self._read(self._spool.dead_letters, _filter(sink, table, reason), limit + 1)
        return {"letters": [_letter(letter) for letter in found[:limit]], "is_cut": len(found) > limit}

    async def dead_show(self, letter: int) -> dict[str, Any] | None:
        """One dead letter with its `row` as text, None when there is none of this id."""
        found = await self._read(self._spool.dead_letter, letter)
        if found is None:
            return None
        return {**_letter(found), "row": (found.line or b"").decode("utf-8", "replace")}

    async def dead_replay(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        """Have dead letters sent again, these or (None) all that the filters let through; how many."""
        which = _filter(sink, table, reason)
        if self._replay is not None:
            return await self._replay(letters, which)
        batches = await self._write(self._spool.replay, letters, which, self._clock())
        return sum(batch.rows for batch in batches)

    async def dead_drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        """Drop dead letters for good, these or (None) all that the filters let through; how many."""
        return await self._write(self._spool.drop_dead, letters, _filter(sink, table, reason))


def _filter(sink: str, table: str, reason: str) -> DeadFilter:
    return DeadFilter(sink or None, table or None, reason or None)


def _total(total: Total) -> dict[str, Any]:
    return {
        "sink": total.sink,
        "table": total.table,
        "accepted": total.accepted,
        "delivered": total.delivered,
        "dead": total.dead,
        "waiting": total.waiting,
        "dropped": dict(total.dropped),
        "difference": total.difference,
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "sink": letter.sink,
        "table": letter.table,
        "batch": letter.batch,
        "at": timestamp_text(letter.at),
        "bytes": letter.size,
        "reason": letter.reason,
    }
