"""The procedure: find, erase, ask again. What cannot be done at once stays open and is gone on with.

Order: whoever is forgotten is marked first, so that nothing new is stored; then the spool, so that what is
delivered meanwhile is in a store; then the stores; then everything is asked again. Batches that may have been
sent are delivered as they are, and the next round erases what they brought.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson

from tracker.clock import timestamp_text
from tracker.errors import QueryError, TrackerError
from tracker.persons.asked import Asked, Naming, asked_of, packed, unpacked, widened
from tracker.persons.forgotten import Forgotten, Marks
from tracker.persons.judge import PersonJudge
from tracker.tables.persons import Person

log = logging.getLogger(__name__)
T = TypeVar("T")

SOONEST_SECONDS = 2.0
LATEST_SECONDS = 60.0
"""An open erasure is gone on with after this, first sooner, then later."""


class Removed(Protocol):
    """What became of rows that waited."""

    @property
    def dropped(self) -> Mapping[tuple[str, str], int]:
        """Rows that sinks do not get any more, by sink and table."""

    @property
    def left(self) -> int:
        """Rows that batches of unknown outcome still hold."""


class SpoolRows(Protocol):
    """The spool, as far as persons go. Raises CannotStore, SpoolDamaged."""

    async def remove(self, judge: PersonJudge) -> Removed:
        """Take out what is judged to go, and change what is judged to change."""

    async def counts(self, judge: PersonJudge) -> dict[str, int]:
        """Lines that would be, by place: `waiting`, `dead`."""

    def lines(self, judge: PersonJudge) -> AsyncGenerator[tuple[str, str, bytes], None]:
        """Place, table and line of each that would be."""

    async def scrub(self) -> bool:
        """Overwrite what was freed; False when somebody reads the log just now."""


class PersonStore(Protocol):
    """One store; see `sinks.erasing`."""

    async def visitors(self, users: Any, ehashes: Any) -> set[str]:
        """Visitors of these users, or with these hashes."""

    async def counts(self, person: Person) -> dict[str, int]:
        """Rows by table."""

    async def erase(self, person: Person) -> None:
        """Delete them."""

    def rows(self, person: Person) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Table and row."""


class Receipt(Protocol):
    """One erasure. Times are Unix seconds."""

    @property
    def id(self) -> str:
        """Its number."""

    @property
    def asked_at(self) -> float:
        """When it was asked for."""

    @property
    def closed_at(self) -> float | None:
        """None while something of it is left."""

    @property
    def told(self) -> Mapping[str, Any]:
        """Counts, never ids."""


class Receipts(Protocol):
    """What is kept of erasures. Methods block for a moment and raise TrackerError."""

    def begin(self, who: bytes, subject: str, marks: Marks, told: Mapping[str, Any], now: float) -> str:
        """Open a receipt; its id."""

    def widen(self, receipt: str, subject: str, marks: Marks) -> None:
        """More is known of the subject of an open one."""

    def note(self, receipt: str, told: Mapping[str, Any], closed_at: float | None) -> None:
        """What was done; closed, nothing is kept of the subject."""

    def still_open(self) -> Sequence[tuple[str, str]]:
        """Receipts and subjects, oldest first."""

    def find(self, receipt: str) -> Receipt | None:
        """One receipt."""

    def earlier(self, who: bytes) -> Sequence[Receipt]:
        """Receipts about the same, oldest first."""

    def forgotten(self, now: float) -> Marks:
        """The marks that still count."""


Stores = Mapping[str, Callable[[], AbstractAsyncContextManager[PersonStore]]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where rows of a person may be."""

    spool: SpoolRows
    stores: Stores


class Procedure:
    """One for a process; one erasure at a time. `now` gives Unix seconds; `erased` is told of whom nothing
    that is still in memory is true any more."""

    def __init__(
        self,
        places: Places,
        receipts: Receipts,
        forgotten: Forgotten,
        naming: Naming,
        now: Callable[[], float],
        forgotten_for_seconds: float,
        erased: Callable[[Person], None] = lambda _: None,
    ) -> None:
        self._places = places
        self._receipts = receipts
        self._forgotten = forgotten
        self._naming = naming
        self._now = now
        self._forgotten_for_seconds = forgotten_for_seconds
        self._erased = erased
        self._turn = asyncio.Lock()
        self._at_work: set[asyncio.Task[None]] = set()
        self._new = asyncio.Event()

    def check(self, said: Mapping[str, Any]) -> None:
        """Raises BadHit for what cannot be asked."""
        asked_of(said, self._naming)

    async def forget(
        self, said: Mapping[str, Any], *, patience_seconds: float | None = None
    ) -> dict[str, Any]:
        """Erase, and tell what was found and what is left; with `dry_run` only what is there. See `asked_of`.

        What takes longer than the patience goes on by itself; its receipt is still open. Raises BadHit and
        TrackerError, and then nothing was begun.
        """
        asked = asked_of(said, self._naming)
        person, missing = await self._found(asked.person(), asked)
        before = await self._counts(person)
        if said.get("dry_run"):
            return {"dry_run": True, **_who(asked, person), "before": before, "away": missing}
        who = self._forgotten.mark(asked.kind, asked.name, asked.oid)
        marks = self._forgotten.marks_of(person, self._now() + self._forgotten_for_seconds)
        self._forgotten.add(marks)
        told = {**_who(asked, person), "before": before, "after": before, "dropped": {}}
        receipt = await self._kept(
            lambda: self._receipts.begin(who, packed(asked, person), marks, told, self._now())
        )
        working = asyncio.create_task(self._go_on(receipt, asked, person))
        self._at_work.add(working)
        working.add_done_callback(self._ended)
        await asyncio.wait({working}, timeout=patience_seconds)
        self._new.set()
        earlier = await self._kept(lambda: self._receipts.earlier(who))
        told_now = await self.receipt(receipt) or {}
        return {**told_now, "earlier_receipts": [one.id for one in earlier if one.id != receipt]}

    async def receipt(self, receipt: str) -> dict[str, Any] | None:
        """A receipt for JSON, None when there is none."""
        found = await self._kept(lambda: self._receipts.find(receipt))
        return _told(found) if found else None

    async def export(self, said: Mapping[str, Any]) -> AsyncGenerator[bytes | Mapping[str, Any], None]:
        """Lines of JSON: place, table and row; the last item has the counts. Raises BadHit, TrackerError."""
        asked = asked_of(said, self._naming)
        person, missing = await self._found(asked.person(), asked)
        counts: dict[str, int] = {}
        async with aclosing(self._rows(person)) as rows:
            async for place, table, row in rows:
                counts[place] = counts.get(place, 0) + 1
                line = orjson.dumps({"place": place, "table": table, "row": orjson.Fragment(row)})
                yield line + b"\n"
        yield {"rows": counts, "away": missing}

    async def start(self) -> None:
        """Know who was forgotten before."""
        self._forgotten.add(await self._kept(lambda: self._receipts.forgotten(self._now())))
        self._new.set()

    async def run(self) -> None:
        """Go on with what is open, for ever."""
        wait = SOONEST_SECONDS
        while True:
            await self._new.wait()
            is_open = await self.go_on()
            if not is_open:
                self._new.clear()
                wait = SOONEST_SECONDS
                continue
            await asyncio.sleep(wait)
            wait = min(2 * wait, LATEST_SECONDS)

    async def go_on(self) -> bool:
        """One round over everything that is open; True when something still is."""
        try:
            for receipt, subject in await self._kept(self._receipts.still_open):
                await self._go_on(receipt, *unpacked(subject))
            return bool(await self._kept(self._receipts.still_open))
        except TrackerError as error:
            log.warning("an erasure waits", extra={"fields": {"reason": str(error)}})
        except Exception:  # a bug must not end the erasures of everybody
            log.exception("an erasure failed and is tried again")
        return True

    async def close(self) -> None:
        """Stop what is under way; the next start goes on with it."""
        for task in tuple(self._at_work):
            task.cancel()
        if self._at_work:
            await asyncio.wait(tuple(self._at_work))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A round that failed leaves its receipt open, and the next one tries again."""
        self._at_work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an erasure waits", exc_info=error if not isinstance(error, TrackerError) else None)

    async def _go_on(self, receipt: str, asked: Asked, person: Person) -> None:
        """One round. What it could not do is told in the receipt, which stays open."""
        async with self._turn:
            known = await self._kept(lambda: self._receipts.find(receipt))
            if known is None or known.closed_at is not None:  # another round was quicker
                return
            told = {**known.told, "dropped": dict(known.told["dropped"])}
            person, missing = await self._found(person, asked)
            marks = self._forgotten.marks_of(person, self._now() + self._forgotten_for_seconds)
            self._forgotten.add(marks)
            await self._kept(lambda: self._receipts.widen(receipt, packed(asked, person), marks))
            removed = await self._places.spool.remove(PersonJudge(person))
            for (sink, table), rows in removed.dropped.items():
                name = f"{table} for {sink}"
                told["dropped"][name] = told["dropped"].get(name, 0) + rows
            missing |= await self._erase(person)
            self._erased(person)
            is_clean = await self._places.spool.scrub()
            after = await self._counts(person)
            left = _left(after)
            is_closed = not (left or removed.left or missing) and is_clean
            told |= {**_who(asked, person), "after": after, "under_way": removed.left, "away": missing}
            await self._kept(lambda: self._receipts.note(receipt, told, self._now() if is_closed else None))
            fields = {"receipt": receipt, "is_closed": is_closed, "rows_left": left}
            log.info("a person was erased" if is_closed else "an erasure is open", extra={"fields": fields})

    async def _erase(self, person: Person) -> dict[str, str]:
        missing = {}
        for name, store in self._places.stores.items():
            try:
                async with store() as opened:
                    await opened.erase(person)
            except QueryError as error:
                missing[name] = _away(error)
        return missing

    async def _found(self, person: Person, asked: Asked) -> tuple[Person, dict[str, str]]:
        """The person with the visitors that the places know, and which places could not be asked."""
        missing: dict[str, str] = {}
        if asked.kind == "vid":
            return person, missing
        visitors = await self._waiting_visitors(person)
        for name, store in self._places.stores.items():
            try:
                async with store() as opened:
                    visitors |= await opened.visitors(person.users, person.ehashes)
            except QueryError as error:
                missing[name] = _away(error)
        return widened(person, asked, visitors), missing

    async def _waiting_visitors(self, person: Person) -> set[str]:
        direct = Person(users=person.users, ehashes=person.ehashes)
        async with aclosing(self._places.spool.lines(PersonJudge(direct))) as lines:
            return {str(orjson.loads(line).get("vid", "")) async for _, _, line in lines} - {""}

    async def _counts(self, person: Person) -> dict[str, Any]:
        """Lines of the spool and rows of each store; a store that is away has None."""
        counts: dict[str, Any] = {"spool": await self._places.spool.counts(PersonJudge(person)), "stores": {}}
        for name, store in self._places.stores.items():
            try:
                async with store() as opened:
                    counts["stores"][name] = await opened.counts(person)
            except QueryError:
                counts["stores"][name] = None
        return counts

    async def _rows(self, person: Person) -> AsyncGenerator[tuple[str, str, bytes], None]:
        async with aclosing(self._places.spool.lines(PersonJudge(person))) as lines:
            async for place, table, line in lines:
                yield place, table, line
        for name, store in self._places.stores.items():
            try:
                async with store() as opened, aclosing(opened.rows(person)) as rows:
                    async for table, row in rows:
                        yield name, table, orjson.dumps(row, default=str)
            except QueryError as error:
                log.warning(
                    "a store was left out of an export",
                    extra={"fields": {"store": name, "why": _away(error)}},
                )

    async def _kept(self, call: Callable[[], T]) -> T:
        return await asyncio.to_thread(call)


def _who(asked: Asked, person: Person) -> dict[str, Any]:
    """What a receipt may say of whom it is about."""
    return {
        "by": asked.kind,
        "visitors": len(person.visitors | person.known),
        "organisation_only": bool(asked.oid),
        "kept_tables": sorted(asked.keep),
    }


def _told(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt": receipt.id,
        "state": "open" if receipt.closed_at is None else "closed",
        "asked_at": timestamp_text(receipt.asked_at),
        "closed_at": timestamp_text(receipt.closed_at) if receipt.closed_at is not None else None,
        **receipt.told,
    }


def _left(counts: Mapping[str, Any]) -> int:
    stores: Iterable[int] = (sum((tables or {}).values()) for tables in counts["stores"].values())
    return int(sum(counts["spool"].values())) + sum(stores)


def _away(error: QueryError) -> str:
    """Why a store could not be asked, without what it quotes of the question."""
    return str(error).splitlines()[0][:200]
