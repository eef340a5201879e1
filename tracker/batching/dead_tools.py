"""What a person may do to dead letters: look, send again, edit, drop, export. Small steps, bounded memory.

Everything comes back ready for JSON. Each step is a question or a transaction of its own, so that commits
and deliveries go on between them; a letter that is put aside meanwhile is not meant.
"""

import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from sqlite3 import Connection
from typing import Any, TypeVar

from tracker.batching import dead_letters
from tracker.batching.dead_letters import DeadFilter, DeadLetter
from tracker.batching.edits import Edit, Unedited
from tracker.batching.export_lines import Export, dead_line
from tracker.batching.running import Run
from tracker.batching.spool import Spool
from tracker.clock import timestamp_text
from tracker.errors import CannotStore, TrackerError

log = logging.getLogger(__name__)

T = TypeVar("T")
Replay = Callable[[Iterable[int] | None, DeadFilter, Mapping[int, bytes]], Awaitable[int]]

MOST_NAMED = 1000
"""Ids that are named in an answer; the others are counted."""
MOST_KINDS = 1000
"""Kinds of reasons in a summary; what else there is is summed up."""
_LOOK_ROWS = 5000
_EDIT_ROWS = 100
_values = re.compile(r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|\d+")


@dataclass(slots=True)
class Outcome:
    """What became of the letters that were meant, so far."""

    done: int = 0
    missing: list[int] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)
    edited: int = 0
    left_rows: int = 0
    missing_rows: int = 0

    def leave(self, reasons: Mapping[int, str]) -> None:
        """These stay dead letters."""
        self.left_rows += len(reasons)
        self.left |= dict(list(reasons.items())[: MOST_NAMED - len(self.left)])

    def miss(self, ids: Sequence[int]) -> None:
        """There are no such dead letters, or others took them meanwhile."""
        self.missing_rows += len(ids)
        self.missing += ids[: MOST_NAMED - len(self.missing)]

    def told(self) -> dict[str, Any]:
        """The outcome for JSON; at most a thousand ids of each kind are named."""
        left = [{"id": letter, "reason": reason} for letter, reason in self.left.items()]
        return {
            "done": self.done,
            "edited": self.edited,
            "missing": self.missing_rows,
            "missing_ids": self.missing,
            "left": self.left_rows,
            "left_letters": left,
        }


class DeadTools:
    """Tools on the dead letters of an open spool.

    `write` and `read` run a function on the spool's writing or reading thread, `replay` moves letters and
    tells delivery. A filter is sink, table and a part of the reason, '' lets all through; letters are ids,
    None all that the filter lets through.
    """

    def __init__(self, spool: Spool, write: Run, read: Run, replay: Replay) -> None:
        self._spool = spool
        self._write = write
        self._read = read
        self._replay = replay

    async def ls(self, sink: str, table: str, reason: str, limit: int) -> dict[str, Any]:
        """`letters`, oldest first, without their rows; the `total` and a `summary` by kind of reason."""
        which = _filter(sink, table, reason)
        shown = await self._ask(lambda db: dead_letters.find(db, which, limit))
        kinds: Counter[tuple[str, str, str]] = Counter()
        sizes: Counter[tuple[str, str, str]] = Counter()
        async for page in self._pages(None, which, lambda letters: letters, _LOOK_ROWS):
            for letter in page:
                kind = (letter.sink, letter.table, kind_of(letter.reason))
                if kind not in kinds and len(kinds) >= MOST_KINDS:
                    kind = ("", "", "other reasons")
                kinds[kind] += 1
                sizes[kind] += letter.size
        summary = [
            {"sink": kind[0], "table": kind[1], "reason": kind[2], "rows": rows, "bytes": sizes[kind]}
            for kind, rows in kinds.most_common()
        ]
        letters = [_letter(letter) for letter in shown]
        return {"total": kinds.total(), "shown": len(shown), "summary": summary, "letters": letters}

    async def show(self, letter: int) -> dict[str, Any] | None:
        """One dead letter with its `row` as text, None when there is none of this id."""
        found = await self._ask(lambda db: dead_letters.show(db, letter))
        if found is None:
            return None
        return {**_letter(found), "row": (found.line or b"").decode("utf-8", "replace")}

    async def replay(
        self, letters: Sequence[int] | None, sink: str, table: str, reason: str, edit: str = ""
    ) -> dict[str, Any]:
        """Send again, edited where an edit is given; those that it does not fit are left as they are.

        Raises BadEdit, or TrackerError when the disk stops it on the way: what was done stays done.
        """
        patch = Edit(edit) if edit else None
        outcome = await self._each(
            letters, _filter(sink, table, reason), lambda page, so_far: self._send(page, patch, so_far)
        )
        fields = {"rows": outcome.done, "edited": outcome.edited, "left": outcome.left_rows}
        log.info("dead letters sent again", extra={"fields": fields})
        return outcome.told()

    async def drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> dict[str, Any]:
        """Drop for good; they count as dropped by command. Raises as `replay` does."""
        outcome = await self._each(letters, _filter(sink, table, reason), self._give_up)
        log.info("dead letters dropped by command", extra={"fields": {"rows": outcome.done}})
        return outcome.told()

    async def export(self, sink: str, table: str, reason: str) -> Export:
        """Lines of JSON, oldest first, in pieces of about a megabyte; the last item says how many rows."""
        rows = 0
        async for page in self._pages(None, _filter(sink, table, reason), dead_letters.fitting):
            found = await self._ask(partial(_lines_of, page))
            rows += len(found)
            yield b"".join(found)
        yield {"rows": rows}

    async def _send(self, page: Sequence[DeadLetter], patch: Edit | None, so_far: Outcome) -> None:
        edited: dict[int, bytes] = {}
        if patch is not None:
            for start in range(0, len(page), _EDIT_ROWS):
                part = page[start : start + _EDIT_ROWS]
                new, reasons = await self._ask(partial(_edit, part, patch))
                edited |= new
                so_far.leave(reasons)
            page = [letter for letter in page if letter.id in edited]
        done = await self._replay([letter.id for letter in page], DeadFilter(), edited) if page else 0
        so_far.done += done
        so_far.edited += done if patch else 0
        so_far.missing_rows += len(page) - done

    async def _give_up(self, page: Sequence[DeadLetter], so_far: Outcome) -> None:
        ids = [letter.id for letter in page]
        done = await self._write(self._spool.drop_dead, ids, DeadFilter())
        so_far.done += done
        so_far.missing_rows += len(page) - done

    async def _each(
        self,
        letters: Sequence[int] | None,
        which: DeadFilter,
        act: Callable[[Sequence[DeadLetter], Outcome], Awaitable[None]],
    ) -> Outcome:
        outcome = Outcome()
        wanted = set(letters or ())
        try:
            async for page in self._pages(letters, which, dead_letters.fitting):
                wanted -= {letter.id for letter in page}
                await act(page, outcome)
        except CannotStore as error:
            raise TrackerError(
                f"stopped after {outcome.done} rows: {error.reason}; the others are still dead letters"
            ) from error
        outcome.miss(sorted(wanted))
        return outcome

    async def _pages(
        self,
        letters: Sequence[int] | None,
        which: DeadFilter,
        cut: Callable[[list[DeadLetter]], list[DeadLetter]],
        rows: int = dead_letters.REPLAY_ROWS,
    ) -> AsyncIterator[list[DeadLetter]]:
        """The letters that are meant, oldest first; none that was put aside after the first was asked for."""
        which = replace(which, upto=await self._ask(dead_letters.newest_id))
        if letters is not None:
            async for page in self._these(sorted(set(letters)), which, cut):
                yield page
            return
        while page := cut(await self._ask(partial(_first, which, rows))):
            yield page
            which = replace(which, after=page[-1].id)

    async def _these(
        self,
        ids: list[int],
        which: DeadFilter,
        cut: Callable[[list[DeadLetter]], list[DeadLetter]],
    ) -> AsyncIterator[list[DeadLetter]]:
        for start in range(0, len(ids), dead_letters.REPLAY_ROWS):
            part = ids[start : start + dead_letters.REPLAY_ROWS]
            found = await self._ask(partial(_chosen, part, which))
            while page := cut(found):
                yield page
                found = found[len(page) :]

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        return await self._read(self._spool.ask, question)


def kind_of(reason: str) -> str:
    """A reason without the values in it, so that those of one kind can be counted together."""
    return _values.sub("…", " ".join(reason[:400].split()))[:120]


def _first(which: DeadFilter, rows: int, db: Connection) -> list[DeadLetter]:
    return dead_letters.find(db, which, rows)


def _chosen(ids: Sequence[int], which: DeadFilter, db: Connection) -> list[DeadLetter]:
    return dead_letters.find_these(db, ids, which)


def _lines_of(letters: Sequence[DeadLetter], db: Connection) -> list[bytes]:
    return [dead_line(letter) for letter in dead_letters.with_lines(db, letters)]


def _edit(
    letters: Sequence[DeadLetter], patch: Edit, db: Connection
) -> tuple[dict[int, bytes], dict[int, str]]:
    """The new line of each letter that can be edited, and why the others cannot."""
    edited, left = {}, {}
    for letter in dead_letters.with_lines(db, letters):
        try:
            edited[letter.id] = patch.apply(letter.table, letter.line or b"")
        except Unedited as refusal:
            left[letter.id] = str(refusal)
    return edited, left


def _filter(sink: str, table: str, reason: str) -> DeadFilter:
    return DeadFilter(sink or None, table or None, reason or None)


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
