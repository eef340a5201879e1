"""The tracking routes: what each of tr, str, img, rdr and xrdr answers to an event.

Limits, errors and methods are the guard's business (`routes`), bodies `bodies`', meaning the pipeline's.
"""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from tracker.errors import BadHit
from tracker.events import Envelope, Identity, Values
from tracker.metrics import Metrics
from tracker.pipeline import Prepared
from tracker.web.answers import (
    JSON,
    NO_STORE,
    Answer,
    header_lines,
    json_answer,
    pixel_answer,
    text_answer,
)
from tracker.web.bodies import BodyReader, Many, told_apart
from tracker.web.cookies import CookieWriter
from tracker.web.counts import EventCounts
from tracker.web.intake import Intake
from tracker.web.ports import EventPipeline
from tracker.web.redirects import RedirectRules
from tracker.web.requests import RequestReader, Surroundings, query_pairs
from tracker.web.settings import WebLimits

PIXEL_WAIT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class TrackingParts:
    """What the tracking routes are made of."""

    limits: WebLimits
    pipeline: EventPipeline
    reader: RequestReader
    bodies: BodyReader
    intake: Intake
    cookies: CookieWriter
    rules: RedirectRules
    metrics: Metrics


class Tracking:
    """One route's way from a request to its answer."""

    def __init__(self, route: str, parts: TrackingParts) -> None:
        self._route = route
        self._parts = parts
        self._pipeline = parts.pipeline
        self._intake = parts.intake
        self._is_client = route in ("tr", "img", "xrdr", "pub")
        self.counts = EventCounts(parts.metrics, route)

    async def track(self, request: web.BaseRequest) -> Answer:
        """tr: empty and durable for one event, what was accepted for several."""
        around, envelope, body = await self._receive(request)
        if isinstance(body, Many):
            return await self._track_many(around, envelope, body)
        identity = await self._store_one(envelope, body)
        return Answer(200, self._head(around, identity))

    async def track_server(self, request: web.BaseRequest) -> Answer:
        """str: the event's id as a JSON string for one event, what was accepted for several."""
        around, envelope, body = await self._receive(request)
        if isinstance(body, Many):
            return await self._track_many(around, envelope, body)
        identity = await self._store_one(envelope, body)
        return Answer(200, JSON + self._head(around, None), f'"{identity.eid}"'.encode())

    async def pixel(self, request: web.BaseRequest) -> Answer:
        """img: the pixel, stored or not, after a moment at the longest."""
        around, envelope, body = await self._receive(request)
        prepared = await self._prepare_all(envelope, body)
        if storing := self._pipeline.store_later(prepared, self._route):
            await asyncio.wait((storing,), timeout=PIXEL_WAIT_SECONDS)
        return pixel_answer(around.cors + self._cookies(around, prepared[0].identity if prepared else None))

    async def pixel_untracked(self, request: web.BaseRequest) -> Answer:
        """HEAD of img."""
        return pixel_answer(self._parts.reader.surroundings(request).cors)

    async def redirect(self, request: web.BaseRequest) -> Answer:
        """rdr and xrdr: on to the target, never waiting for the disk, whatever becomes of the event."""
        around = self._parts.reader.surroundings(request)
        decided = self._parts.rules.decide(_target(request), around.host)
        self._parts.metrics.redirects.labels(decided.outcome).inc()
        if decided.outcome == "refused":
            return text_answer(400, "the query's url names no host that redirects may lead to", around.cors)
        identity = await self._track_later(request)
        location = header_lines(("Location", decided.location))
        return Answer(302, location + self._head(around, identity))

    async def head_for_file(self, request: web.BaseRequest) -> bytes:
        """pub: the header lines that go with a file, its event stored without waiting."""
        around = self._parts.reader.surroundings(request)
        return around.cors + self._cookies(around, await self._track_later(request))

    async def _track_later(self, request: web.BaseRequest) -> Identity | None:
        try:
            _, envelope, body = await self._receive(request)
            prepared = await self._prepare_all(envelope, body)
        except BadHit as error:
            self.counts.rejected(error)
            return None
        self._pipeline.store_later(prepared, self._route)
        return prepared[0].identity if prepared else None

    async def _receive(self, request: web.BaseRequest) -> tuple[Surroundings, Envelope, Values | Many]:
        if request.method != "POST":
            self.counts.received.inc()
            return *self._parts.reader.asked(request, self._route), {}
        around, envelope = self._parts.reader.posted(request, self._route)
        try:
            data = self._parts.bodies.at_hand(request)
            if data is None:
                data = await self._parts.bodies.read(request)
            body = told_apart(data, self._parts.limits)
        except BadHit:
            self.counts.received.inc()
            raise
        self.counts.received.inc(len(body) if isinstance(body, Many) else 1)
        return around, envelope, body

    async def _store_one(self, envelope: Envelope, values: Values) -> Identity:
        prepared = self._intake.one(envelope, values)
        await self._pipeline.store((prepared,), self._route)
        return prepared.identity

    async def _track_many(self, around: Surroundings, envelope: Envelope, events: Many) -> Answer:
        done = await self._intake.many(envelope, events)
        for _, error in done.rejected:
            self.counts.rejected(error)
        if done.prepared:
            await self._pipeline.store(done.prepared, self._route)
        visitor = done.visitor
        if visitor is None and done.prepared and "vid" not in around.said:
            visitor = done.prepared[0].identity
        status = 400 if done.rejected and not done.prepared else 200
        return json_answer(status, done.answer(), around.cors + self._cookies(around, visitor))

    async def _prepare_all(self, envelope: Envelope, body: Values | Many) -> list[Prepared]:
        if not isinstance(body, Many):
            return [self._intake.one(envelope, body)]
        done = await self._intake.many(envelope, body)
        for _, error in done.rejected:
            self.counts.rejected(error)
        return done.prepared

    def _head(self, around: Surroundings, identity: Identity | None) -> bytes:
        return b"%b%b%b" % (NO_STORE, around.cors, self._cookies(around, identity))

    def _cookies(self, around: Surroundings, identity: Identity | None) -> bytes:
        if identity is None or not self._is_client:
            return b""
        return self._parts.cookies.lines_for(identity, around.host, around.is_https)


def _target(request: web.BaseRequest) -> str | None:
    """The query's first `url`, as it was sent."""
    return next((value for key, value in query_pairs(request.raw_path) if key.lower() == "url"), None)
