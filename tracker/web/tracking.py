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
from tracker.web.intake import LARGE_BYTES, Intake, Sorted
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
        around, done = await self._receive(request)
        if isinstance(done, Sorted):
            return await self._answer_many(around, done)
        await self._pipeline.store((done,), self._route)
        return Answer(200, self._head(around, done.identity))

    async def track_server(self, request: web.BaseRequest) -> Answer:
        """str: the event's id as a JSON string for one event, what was accepted for several."""
        around, done = await self._receive(request)
        if isinstance(done, Sorted):
            return await self._answer_many(around, done)
        await self._pipeline.store((done,), self._route)
        return Answer(200, JSON + self._head(around, None), f'"{done.identity.eid}"'.encode())

    async def pixel(self, request: web.BaseRequest) -> Answer:
        """img: the pixel, stored or not, after a moment at the longest."""
        around, done = await self._receive(request)
        prepared = self._all_of(done)
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
            _, done = await self._receive(request)
            prepared = self._all_of(done)
        except BadHit as error:
            self.counts.rejected(error)
            return None
        self._pipeline.store_later(prepared, self._route)
        return prepared[0].identity if prepared else None

    async def _receive(self, request: web.BaseRequest) -> tuple[Surroundings, Prepared | Sorted]:
        """What was sent, worked out: one event, or several. Nothing but that stays in memory."""
        if request.method != "POST":
            self.counts.received.inc()
            around, envelope = self._parts.reader.asked(request, self._route)
            await self._intake.consult(envelope, ({},))
            return around, self._intake.one(envelope, {})
        around, envelope = self._parts.reader.posted(request, self._route)
        bodies, sent, body = self._parts.bodies, b"", None
        try:
            data = bodies.at_hand(request)
            if data is None:
                sent = await bodies.read(request)
                data = bodies.decoded(request, sent)
            if data is not None and len(data) <= LARGE_BYTES:
                body = told_apart(data, self._parts.limits)
        except BadHit:
            self.counts.received.inc()
            raise
        if body is None:
            async with self._intake.turn:
                return around, await self._work_out(envelope, await self._large(request, sent, data))
        return around, await self._work_out(envelope, body)

    async def _large(self, request: web.BaseRequest, sent: bytes, data: bytes | None) -> Values | Many:
        """What a large body holds; `data` is None when it must be inflated first."""
        try:
            if data is None:
                data = await self._parts.bodies.inflated(request, sent)
            return told_apart(data, self._parts.limits)
        except BadHit:
            self.counts.received.inc()
            raise

    async def _work_out(self, envelope: Envelope, body: Values | Many) -> Prepared | Sorted:
        if isinstance(body, Many):
            self.counts.received.inc(len(body))
            return await self._intake.many(envelope, body)
        self.counts.received.inc()
        await self._intake.consult(envelope, (body,))
        return self._intake.one(envelope, body)

    async def _answer_many(self, around: Surroundings, done: Sorted) -> Answer:
        for _, error in done.rejected:
            self.counts.rejected(error)
        if done.prepared:
            await self._pipeline.store(done.prepared, self._route)
        visitor = done.visitor
        if visitor is None and done.prepared and "vid" not in around.said:
            visitor = done.prepared[0].identity
        status = 400 if done.rejected and not done.prepared else 200
        return json_answer(status, done.answer(), around.cors + self._cookies(around, visitor))

    def _all_of(self, done: Prepared | Sorted) -> list[Prepared]:
        if not isinstance(done, Sorted):
            return [done]
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
