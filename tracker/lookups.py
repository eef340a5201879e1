"""The current rows that this process can answer: which stores are asked, what waits for them.

Wiring only: what a lookup does is in `records`, what a store can answer in `sinks`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain

from tracker.batching.running import Run
from tracker.batching.spool import Spool
from tracker.batching.waiting_table import WaitingTable
from tracker.errors import QueryError
from tracker.events import Entry, Identity
from tracker.pipeline import Pipeline, Prepared
from tracker.records.lookup import Lookup
from tracker.records.ports import Finder, Row, Save
from tracker.steps.rows import encode

START_SECONDS = 10.0
AGAIN_SECONDS = 0.05
ROUTE = "accounts"
"""What rows count under in metrics that no request brought."""


def saving(lookup: Lookup, pipeline: Pipeline) -> Save:
    """Makes a row of the lookup's table durable, and then the answer."""

    async def save(row: Row) -> None:
        await pipeline.store([_prepared(lookup.table, row)], ROUTE)
        lookup.wrote(row)

    return save


def _prepared(table: str, row: Row) -> Prepared:
    return Prepared(Identity("", "", "", is_new=False), Entry((encode(table, row),)), ())


class AtStart:
    """A store that is being opened, perhaps as soon as the process before has let go of it.

    In the first `START_SECONDS`, and until it has answered once, it is asked again instead of being taken for
    away: whoever clicks meanwhile waits.
    """

    def __init__(self, store: Finder) -> None:
        self._store = store
        self._until = asyncio.get_running_loop().time() + START_SECONDS
        self._has_answered = False

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[Row]:
        """As the store does it."""
        while True:
            try:
                found = await self._store.find(table, where, limit=limit)
            except QueryError:
                if self._has_answered or asyncio.get_running_loop().time() >= self._until:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._has_answered = True
                return found


class Everywhere:
    """Stores of which each may have rows that the others have not: all are asked, or nothing is known."""

    def __init__(self, stores: Sequence[Finder]) -> None:
        self._stores = stores

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[Row]:
        """What each of them finds, at most `limit` rows of each; a key may come back from several."""
        answers = await asyncio.gather(*(store.find(table, where, limit=limit) for store in self._stores))
        return list(chain.from_iterable(answers))


class Lookups:
    """Every lookup of one process, over the stores that can answer and the rows that wait for them.

    `asked` names the store that is asked, '' for none. Where residency divides what visitors agreed to, all
    the stores are asked for it.
    """

    def __init__(
        self, stores: Mapping[str, Finder], asked: str, spool: Spool, read: Run, *, is_divided: bool
    ) -> None:
        opening = {name: AtStart(store) for name, store in stores.items()}
        store = opening.get(asked)
        waiting = WaitingTable(spool, read, (asked,) if asked else ())
        self.links = Lookup("redirects", "urlfrom", store, waiting)
        self.link_history = Lookup("redirect_history", "id", store, waiting)
        self.consents = Lookup("agreements", "vid", store, waiting)
        if is_divided and opening:
            everywhere = Everywhere(list(opening.values()))
            self.consents = Lookup("agreements", "vid", everywhere, WaitingTable(spool, read, list(opening)))
        self.orgs = Lookup("orgs", "oid", store, waiting)
        self.accounts = Lookup("accounts", "uid", store, waiting)
        self.jurisdictions = Lookup("jurisdictions", "regulation", store, waiting)

    async def start(self) -> None:
        """Take up what waits in the spool. Raises CannotStore or SpoolDamaged."""
        for lookup in self._all():
            await lookup.start()

    async def close(self) -> None:
        """End what they do in the background. Safe twice."""
        await asyncio.gather(*(lookup.close() for lookup in self._all()))

    def _all(self) -> Sequence[Lookup]:
        return (self.links, self.link_history, self.consents, self.orgs, self.accounts, self.jurisdictions)
