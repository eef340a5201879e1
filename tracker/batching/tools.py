"""What a person may do to a spool: look, check, export. The same whether a server runs on it or not.

Everything comes back ready for JSON. Who asks and how it is shown is the commands' business; dead letters
are `dead_tools`' business.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from sqlite3 import Connection
from typing import Any

from tracker.batching.dead_letters import DeadFilter
from tracker.batching.dead_tools import DeadTools, Replay
from tracker.batching.export_lines import Export
from tracker.batching.running import Run, directly
from tracker.batching.spool import Spool
from tracker.batching.totals import Total, Verdict
from tracker.batching.waiting_rows import Piece, Waits, read_piece, read_replay, read_waits


class SpoolTools:
    """Tools on an open spool, those on its dead letters as `dead`.

    `write` and `read` run a function on the spool's writing or reading thread, `clock` gives Unix seconds,
    `replay` (the batcher's) tells delivery of what waits again; without it nobody needs to be told.
    """

    def __init__(
        self,
        spool: Spool,
        clock: Callable[[], float],
        write: Run = directly,
        read: Run = directly,
        replay: Replay | None = None,
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._write = write
        self._read = read
        self.dead = DeadTools(spool, write, read, replay or self._replay)

    async def ls(self) -> dict[str, Any]:
        """`tables` with the conservation numbers of each sink and table, and the spool's size."""
        totals = await self._read(self._spool.totals)
        state = self._spool.state()
        return {
            "tables": [_total(total) for total in totals],
            "live_bytes": state.live_bytes,
            "max_bytes": state.max_bytes,
            "dead_bytes": state.dead_bytes,
            "dead_max_bytes": state.dead_max_bytes,
            "file_bytes": state.file_bytes,
            "wal_bytes": state.wal_bytes,
            "remembered_ids": state.remembered_ids,
            "unfinished_batches": state.unfinished_batches,
        }

    async def verify(self) -> dict[str, Any]:
        """Read and check everything: `ok`, `problems`, and how much there was."""
        return verdict_told(await self._read(self._spool.verify))

    async def drop_sink(self, sink: str) -> int:
        """Give up the backlog of a sink that is no longer configured; how many rows."""
        return await self._write(self._spool.drop_sink, sink)

    async def export(self) -> Export:
        """Every row that waits, as lines of JSON in pieces of about a megabyte; the counts come last."""
        rows = damaged = after = 0
        waits = await self._read(self._spool.ask, read_waits)
        while piece := await self._read(self._spool.ask, partial(_piece, waits, after)):
            rows, damaged, after = rows + len(piece.lines), damaged + piece.damaged, piece.last_chunk
            yield b"".join(piece.lines)
        for batch in waits.replays:
            lines = await self._read(self._spool.ask, partial(_replayed, batch))
            rows += len(lines)
            yield b"".join(lines)
        yield {"rows": rows, "damaged": damaged, "problems": []}

    async def _replay(self, ids: Iterable[int] | None, which: DeadFilter, edited: Mapping[int, bytes]) -> int:
        batches = await self._write(self._spool.replay, ids, which, self._clock(), edited)
        return sum(batch.rows for batch in batches)


def verdict_told(verdict: Verdict) -> dict[str, Any]:
    """What a check found, for JSON."""
    return {
        "ok": verdict.is_sound,
        "problems": list(verdict.problems),
        "chunks": verdict.chunks,
        "rows": verdict.rows,
        "batches": verdict.batches,
        "dead": verdict.dead,
    }


def _piece(waits: Waits, after: int, db: Connection) -> Piece | None:
    return read_piece(db, waits, after)


def _replayed(batch: str, db: Connection) -> list[bytes]:
    return read_replay(db, batch)


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
