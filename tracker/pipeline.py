"""The journey of a hit: what was sent becomes rows, and the rows become durable.

Steps decide, the spooler acts. HTTP, limits on bodies and answers are the web's business, delivery to stores
is batching's.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from prometheus_client import Counter

from tracker import clock
from tracker.errors import CannotStore
from tracker.events import Entry, Envelope, Hit, Identity
from tracker.metrics import Metrics
from tracker.steps import ids
from tracker.steps.known_hosts import KnownHosts
from tracker.steps.merge import gather, merge
from tracker.steps.normalise import event_draft, event_rules
from tracker.steps.privacy import open_documents, take_person
from tracker.steps.records import RecordSettings, make_record
from tracker.steps.routing import carried_rows, event_rows
from tracker.steps.surroundings import surroundings
from tracker.steps.timezones import country_of
from tracker.steps.urls import shortener

_log = logging.getLogger(__name__)

_TRUSTED = Envelope(
    route="send", is_client=False, host="", ip="", user_agent="", language="", ja4h="", uri="", base={}
)


class Spooler(Protocol):
    """Where entries become durable."""

    async def add(self, entries: Sequence[Entry]) -> int:
        """Return after the durable commit, with how many entries were retries. Raises CannotStore."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the steps need to know of the configuration."""

    use_remove_ip: bool = True
    """No row holds a client's address."""
    prefix_private_hash: str = ""
    """Put before an e-mail address, phone number or user name when it is hashed."""
    url_filter: re.Pattern[str] | None = None
    url_filter_match_group: int = 0
    """Which group of the filter is kept of an address; 0 is the last one."""
    max_depth: int = 64
    """How deep JSON text inside an event may be nested."""
    id_namespace: str = ids.NAMESPACE
    """The UUID from which ids are made of texts."""
    max_background: int = 10_000
    """How many events may wait at once for a commit that nobody waits for."""


class Prepared(NamedTuple):
    """One event (or record) as it will be stored."""

    identity: Identity
    entry: Entry
    faults: tuple[str, ...]
    """Reasons for which values were kept in params instead of their column."""
    new_host: str = ""
    """The host whose name this entry writes down."""


class Pipeline:
    """One for a process; used from its event loop only."""

    def __init__(
        self,
        spooler: Spooler,
        settings: PipelineSettings,
        metrics: Metrics,
        now: Callable[[], float] = clock.now,
    ) -> None:
        self._spooler = spooler
        self._settings = settings
        self._metrics = metrics
        self._now = now
        self._shorten = shortener(settings.url_filter, settings.url_filter_match_group)
        self._rules = event_rules(settings.id_namespace, self._shorten)
        self._records = RecordSettings(settings.id_namespace, keep_ip=not settings.use_remove_ip)
        self._hosts = KnownHosts()
        self._accepted_by: dict[str, Counter] = {}
        self._background: set[asyncio.Task[None]] = set()
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
        settings, envelope = self._settings, hit.envelope
        values = gather(envelope, hit.body)
        open_documents(values, settings.max_depth)
        person = take_person(values, settings.prefix_private_hash)
        columns = surroundings(envelope, keep_ip=not settings.use_remove_ip)
        draft = event_draft(values, envelope, columns, self._rules, self._shorten)
        row = draft.row
        row["created_at"] = clock.timestamp_text(hit.received_at)
        identity, client_id = ids.identify(row, is_new=is_new)
        new_host = self._hosts.unknown(envelope.host, hit.received_at) if envelope.is_client else ""
        rows = event_rows(row, person, new_host)
        if "tid" in row or "oid" in row:  # without one, an event carries nothing else
            rows += carried_rows(values, row, draft.faults)
        faults = self._counted(draft.faults) if draft.faults else ()
        return Prepared(identity, Entry(rows, client_id), faults, new_host)

    def prepare_record(self, kind: str, values: Mapping[str, Any], now: float) -> Prepared:
        """Work out what a trusted caller sent: an event, log, update or count. Raises BadHit."""
        if kind == "event":
            return self.prepare(Hit(_TRUSTED, values, now))
        merged = merge(values)
        open_documents(merged, self._settings.max_depth)
        take_person(merged, self._settings.prefix_private_hash)
        record = make_record(kind, merged, self._records, now)
        identity = Identity(eid=record.id, vid="", sid="", is_new=False)
        return Prepared(identity, Entry((record.row,), record.client_id), self._counted(record.faults))

    async def store(self, prepared: Sequence[Prepared], route: str) -> None:
        """Return when all of it is durable, counted as the route's. Raises CannotStore: then nothing is."""
        if not prepared:
            return
        retries = await self._spooler.add([one.entry for one in prepared])
        self._accepted(route).inc(len(prepared) - retries)
        for one in prepared:
            if one.new_host:
                self._hosts.remember(one.new_host, self._now())

    def store_later(self, prepared: Sequence[Prepared], route: str) -> "asyncio.Task[None] | None":
        """Store in the background, for an answer that does not depend on it; a failure is only counted.

        The task is this pipeline's own and never raises: it may be waited for, and must not be cancelled.
        """
        if len(self._background) >= self._settings.max_background:
            self._metrics.events_unpromised.labels(route).inc(len(prepared))
            return None
        task = asyncio.create_task(self._store_or_count(prepared, route))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def close(self) -> None:
        """Wait until everything that is stored in the background has ended."""
        while self._background:
            await asyncio.wait(self._background)

    async def _store_or_count(self, prepared: Sequence[Prepared], route: str) -> None:
        try:
            await self.store(prepared, route)
        except CannotStore:
            self._metrics.events_unpromised.labels(route).inc(len(prepared))
        except Exception:  # nobody awaits this task: a bug must show up here or nowhere
            self._metrics.events_unpromised.labels(route).inc(len(prepared))
            _log.exception("background store failed", extra={"fields": {"route": route}})

    def _accepted(self, route: str) -> Counter:
        """The route's counter, looked up once: a look-up by label costs as much as three increments."""
        counter = self._accepted_by.get(route)
        if counter is None:
            counter = self._accepted_by[route] = self._metrics.events_accepted.labels(route)
        return counter

    def _counted(self, faults: Sequence[str]) -> tuple[str, ...]:
        for fault in faults:
            self._metrics.field_faults.labels(fault).inc()
        return tuple(faults)
