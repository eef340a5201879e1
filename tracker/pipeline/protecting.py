"""What may be kept of whom, and where it may go: home, signals and consent -> a ruling, and what follows.

Which rule holds where is the business of `steps.protect` and `steps.residency`, what anonymising means is
`steps.withholding`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple, Protocol

from tracker.agreed import Agreed
from tracker.events import Entry, Envelope, Hit, Values
from tracker.metrics import Metrics
from tracker.pipeline.prepared import Prepared, counted
from tracker.steps import ids
from tracker.steps.draft import Draft
from tracker.steps.merge import gather
from tracker.steps.protect import FORGOTTEN, KEEP, Decision, Guard, said_flags, severest
from tracker.steps.residency import NO_HOME, Home, Residency, at_home
from tracker.steps.withholding import anonymised


class Protection(NamedTuple):
    """Who decides what may be kept of whom, and what anonymising needs."""

    guard: Guard
    day_key: Callable[[float], bytes]
    """Secret of the UTC day of a time, in Unix seconds."""
    agreed: Agreed | None = None
    """Who is asked what a visitor agreed to when an event does not say."""
    residency: Residency | None = None
    """Which sinks may have what comes from where; None: all of them everything."""


class Forgotten(Protocol):
    """Who was forgotten lately; see `persons.forgotten`."""

    @property
    def is_active(self) -> bool:
        """Anybody was."""

    def withholds(self, row: Mapping[str, Any], now: float) -> bool:
        """Whether a row of this `vid`, `uid` and `oid` must not be stored; Unix seconds."""


class Ruling(NamedTuple):
    """What becomes of what was sent."""

    decision: Decision
    home: Home | None = None
    """Where its rows may go, None for everywhere."""


AS_SENT: Final = Ruling(KEEP)
NOT_AT_ALL: Final = Ruling(FORGOTTEN)


class Protector:
    """Rules by one `Protection`; used from the event loop only."""

    def __init__(self, protection: Protection, metrics: Metrics, id_namespace: str) -> None:
        self._guard, self._day_key, self._agreed, self._residency = protection
        self._metrics = metrics
        self._namespace = id_namespace
        self._kept_with = {signals: self._keeps(*signals) for signals in product((False, True), repeat=2)}

    def keeps(self, *, gpc: bool, dnt: bool) -> bool:
        """Whether any event with these signals is kept as it was sent; True is certain."""
        return self._kept_with[gpc, dnt]

    def _keeps(self, gpc: bool, dnt: bool) -> bool:
        if self._residency is not None or self._guard.asks_agreements:  # it depends on where it comes from
            return False
        return self._guard.decide("", "", None, gpc=gpc, dnt=dnt) is KEEP

    @property
    def consults(self) -> bool:
        """Whether `consult` learns anything."""
        return self._agreed is not None

    async def consult(self, envelope: Envelope, bodies: Sequence[object]) -> None:
        """Learn what the visitors of these events agreed to, as far as the events do not say, all at once."""
        if self._agreed is None:
            return
        said = [gather(envelope, body) for body in bodies if isinstance(body, dict)]
        silent = [values for values in said if said_flags(values) is None]
        vids = {ids.known(values.get("vid"), self._namespace) for values in silent}
        await self._agreed.learn(vids - {""})

    def rule(self, envelope: Envelope, said: Values, row: Mapping[str, Any]) -> Ruling:
        """What becomes of a row, by its place and visitor and by what else was said.

        Raises BadHit where rows from there are refused.
        """
        country, region = row.get("country", ""), row.get("region", "")
        home = self.home(row)
        cflags = self._cflags(said, row)
        decision = self._guard.decide(country, region, cflags, gpc=envelope.gpc, dnt=envelope.dnt)
        if home is not None and not home.sinks:
            decision = severest(decision, NO_HOME)
        return Ruling(decision, home)

    def home(self, row: Mapping[str, Any]) -> Home | None:
        """Where a row of its place may go, None for everywhere. Raises BadHit where it is refused."""
        if self._residency is None:
            return None
        return self._residency.home(row.get("country", ""), row.get("region", ""))

    def _cflags(self, said: Values, row: Mapping[str, Any]) -> int | None:
        """The consent that was sent, else the one that is known of; None for none."""
        cflags = said_flags(said) if self._guard.asks_agreements else None
        if cflags is None and self._agreed and "vid" in row:
            return self._agreed.cflags(row["vid"])
        return cflags

    def anonymised(self, hit: Hit, values: Values, draft: Draft, ruling: Ruling, new_host: str) -> Prepared:
        """The event without what identifies a person, where it may go."""
        decision, home = ruling
        key = self._day_key(hit.received_at)
        told = anonymised(draft, values, hit.envelope, decision, key, new_host)
        entry = Entry(at_home(told.rows, home), told.client_id)
        return Prepared(told.identity, entry, counted(draft.faults, self._metrics), new_host, decision)
