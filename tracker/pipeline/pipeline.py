"""The story of an event: what was sent becomes a draft, the draft is ruled on, its rows become durable.

Steps decide, the spooler acts. Payments, agreements and records take the way of their own preparers, and end
here, in `store`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import Counter

from tracker import clock
from tracker.errors import BadHit
from tracker.events import Entry, Envelope, Hit, Identity, Values
from tracker.metrics import Metrics
from tracker.pipeline.agreements import AgreementPreparer
from tracker.pipeline.background import Background
from tracker.pipeline.payments import PaymentPreparer
from tracker.pipeline.prepared import Prepared, counted, not_stored
from tracker.pipeline.protecting import AS_SENT, NOT_AT_ALL, Forgotten, Protection, Protector, Ruling
from tracker.pipeline.records import RecordPreparer
from tracker.pipeline.settings import PipelineSettings
from tracker.steps import ids
from tracker.steps.draft import Draft
from tracker.steps.known_hosts import KnownHosts
from tracker.steps.merge import gather
from tracker.steps.normalise import event_draft, event_rules
from tracker.steps.own_address import names_sender, without_address
from tracker.steps.payments import Sent
from tracker.steps.places import Geo, nowhere, put_place, without_regions
from tracker.steps.privacy import PersonHashes, open_documents, take_person
from tracker.steps.protect import KEEP
from tracker.steps.residency import at_home
from tracker.steps.routing import carried_rows, event_rows
from tracker.steps.surroundings import surroundings
from tracker.steps.timezones import country_of
from tracker.steps.urls import shortener

_TRUSTED = Envelope(
    route="send", is_client=False, host="", ip="", user_agent="", language="", ja4h="", uri="", base={}
)


class Spooler(Protocol):
    """Where entries become durable."""

    async def add(self, entries: Sequence[Entry]) -> int:
        """Return after the durable commit, with how many entries were retries. Raises CannotStore."""


class Pipeline:
    """One for a process; used from its event loop only."""

    def __init__(
        self,
        spooler: Spooler,
        settings: PipelineSettings,
        metrics: Metrics,
        now: Callable[[], float] = clock.now,
        geo: Geo = nowhere,
        protection: Protection | None = None,
        forgotten: Forgotten | None = None,
    ) -> None:
        self._spooler = spooler
        self._settings = settings
        self._metrics = metrics
        self._now = now
        self._geo = geo if settings.use_region_descriptions else without_regions(geo)
        self._shorten = shortener(settings.url_filter, settings.url_filter_match_group)
        self._rules = event_rules(settings.id_namespace, self._shorten)
        self._protector = Protector(protection, metrics, settings.id_namespace) if protection else None
        self._forgotten = forgotten
        self._agreements = AgreementPreparer(settings, self._shorten, self._geo, self._protector, forgotten)
        self._payments = PaymentPreparer(settings, metrics, self._geo, self._protector, forgotten)
        self._records = RecordPreparer(settings, metrics)
        self._background = Background(self.store, metrics, settings.max_background)
        self._hosts = KnownHosts()
        self._accepted_by: dict[str, Counter] = {}
        country_of("")  # the zone table is read now, not while the first visitor waits

    async def accept(self, hit: Hit) -> Identity:
        """Prepare and store one hit. Raises BadHit or CannotStore."""
        prepared = self.prepare(hit)
        await self.store((prepared,), hit.envelope.route)
        return prepared.identity

    def prepare(self, hit: Hit, *, is_new: bool = False) -> Prepared:
        """Work out what a hit means, without waiting for anything. Raises BadHit.

        `is_new` says that the visitor id in the envelope's base was made by us for this very hit (a WebSocket
        needs one before its first message).
        """
        envelope = hit.envelope
        prepared = self._prepare(hit, gather(envelope, hit.body), is_new=is_new)
        if self._settings.use_remove_ip and names_sender(prepared.entry.rows, envelope):
            cleaned = without_address(gather(envelope, hit.body), envelope.ip)
            prepared = self._prepare(hit, cleaned, is_new=is_new)
        return prepared

    def _prepare(self, hit: Hit, values: Values, *, is_new: bool) -> Prepared:
        """The same of merged values, which are used up."""
        draft, person = self._draft(hit, values)
        ruling = self._rule(hit, values, draft)
        if ruling.decision is not KEEP:
            return self._withheld(hit, values, draft, ruling)
        row, new_host = draft.row, self._new_host(hit)
        identity, client_id = ids.identify(row, is_new=is_new)
        rows = event_rows(row, person, new_host)
        if "tid" in row or "oid" in row:  # without one, an event carries nothing else
            rows += carried_rows(values, row, draft.faults)
        faults = counted(draft.faults, self._metrics) if draft.faults else ()
        return Prepared(identity, Entry(at_home(rows, ruling.home), client_id), faults, new_host)

    def _draft(self, hit: Hit, values: Values) -> tuple[Draft, PersonHashes]:
        """The event's columns, and who the person is, by hash."""
        settings, envelope = self._settings, hit.envelope
        open_documents(values, settings.max_depth)
        person = take_person(values, settings.prefix_private_hash)
        columns = surroundings(envelope, keep_ip=not settings.use_remove_ip, ip_key=settings.ip_hash_key)
        draft = event_draft(values, envelope, columns, self._rules, self._shorten)
        put_place(draft.row, envelope.ip, self._geo)
        draft.row["created_at"] = clock.timestamp_text(hit.received_at)
        return draft, person

    def _rule(self, hit: Hit, values: Values, draft: Draft) -> Ruling:
        if self._forgotten and self._forgotten.withholds(draft.row, hit.received_at):
            return NOT_AT_ALL
        if self._protector is None:
            return AS_SENT
        return self._protector.rule(hit.envelope, values, draft.row)

    def _withheld(self, hit: Hit, values: Values, draft: Draft, ruling: Ruling) -> Prepared:
        """An event that is not kept as it was sent."""
        if self._protector is None or ruling.decision.outcome == "drop":
            return not_stored(draft.row, ruling.decision)
        return self._protector.anonymised(hit, values, draft, ruling, self._new_host(hit))

    def _new_host(self, hit: Hit) -> str:
        return self._hosts.unknown(hit.envelope.host, hit.received_at) if hit.envelope.is_client else ""

    def keeps(self, said: Values, *, gpc: bool, dnt: bool) -> bool:
        """Whether an event of whose sender nothing else is said is kept as it was sent; True is certain."""
        if said and self._forgotten and self._forgotten.is_active:
            return False
        return self._protector is None or self._protector.keeps(gpc=gpc, dnt=dnt)

    @property
    def consults(self) -> bool:
        """Whether `consult` is to be awaited before `prepare`."""
        return self._protector is not None and self._protector.consults

    async def consult(self, envelope: Envelope, bodies: Sequence[object]) -> None:
        """Learn what the visitors of these events agreed to, as far as the events do not say, all at once."""
        if self._protector is not None:
            await self._protector.consult(envelope, bodies)

    def prepare_record(self, kind: str, values: Mapping[str, Any], now: float) -> Prepared:
        """Work out what a trusted caller sent: an event, log, update or count. Raises BadHit."""
        if kind == "event":
            return self.prepare(Hit(_TRUSTED, values, now))
        return self._records.prepare(kind, values, now)

    def prepare_agreement(self, hit: Hit, key: str) -> tuple[Prepared, dict[str, Any]]:
        """Work out what a visitor agreed to; comes back with the row of `agreements` too. Raises BadHit.

        `key` is the request's Idempotency-Key, '' for none.
        """
        return self._agreements.prepare(hit, key)

    def payments_in(self, envelope: Envelope, values: Values, key: str) -> Sent:
        """What body or query said about payments, told apart, without the sender's address. Raises BadHit.

        `key` is the request's Idempotency-Key, '' for none.
        """
        return self._payments.told_apart(envelope, values, key)

    def prepare_payments(
        self, envelope: Envelope, sent: Sent, said: Mapping[str, Any], now: float
    ) -> Iterator[Prepared | BadHit]:
        """Each payment in order, or why it is none; `said` is what cookies and the `User` header say."""
        return self._payments.prepare(envelope, sent, said, now)

    async def store(self, prepared: Sequence[Prepared], route: str) -> int:
        """Return when all of it is durable, counted as the route's, with how many were retries.

        Raises CannotStore: then nothing is.
        """
        if not prepared:
            return 0
        retries = await self._spooler.add([one.entry for one in prepared])
        self._accepted(route).inc(len(prepared) - retries)
        for one in prepared:
            if one.new_host:
                self._hosts.remember(one.new_host, self._now())
            if one.decision is not KEEP:
                self._metrics.events_withheld.labels(*one.decision).inc()
        return retries

    def store_later(self, prepared: Sequence[Prepared], route: str) -> "asyncio.Task[None] | None":
        """Store in the background, for an answer that does not depend on it; a failure is only counted.

        The task is this pipeline's own and never raises: it may be waited for, and must not be cancelled.
        """
        return self._background.store(prepared, route)

    async def close(self) -> None:
        """Wait until everything that is stored in the background has ended."""
        await self._background.close()

    def _accepted(self, route: str) -> Counter:
        """The route's counter, looked up once: a look-up by label costs as much as three increments."""
        counter = self._accepted_by.get(route)
        if counter is None:
            counter = self._accepted_by[route] = self._metrics.events_accepted.labels(route)
        return counter
