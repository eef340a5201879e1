"""The route of payments: /ltv/ takes one, or an array of them, and answers when they are durable.

What a payment means is `steps.payments`' business. No cookie is set here.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tracker.errors import BadHit, TooLarge
from tracker.events import Envelope, Values
from tracker.steps.json_input import loads_exactly
from tracker.steps.merge import merge, path_values
from tracker.steps.payments import Sent, idempotency_key
from tracker.web.answers import NO_STORE, Answer, json_answer
from tracker.web.bodies import NOT_AN_OBJECT, refuse_countless_values
from tracker.web.counts import EventCounts
from tracker.web.intake import LARGE_BYTES, SLICE, Sorted
from tracker.web.ports import Now
from tracker.web.requests import Surroundings, raw_path_of
from tracker.web.tracking import TrackingParts

ROUTE = "ltv"


class Payments:
    """Payments' way from a request to its answer."""

    def __init__(self, parts: TrackingParts, now: Now) -> None:
        self._parts = parts
        self._now = now
        self.counts = EventCounts(parts.metrics, ROUTE)

    async def take(self, request: web.BaseRequest) -> Answer:
        """Empty for one payment, what was accepted for several. Raises BadHit, CannotStore."""
        around, is_many, done = await self._receive(request)
        if not is_many and done.rejected:
            raise done.rejected[0][1]
        for _, error in done.rejected:
            self.counts.rejected(error)
        if done.prepared:
            await self._parts.pipeline.store(done.prepared, ROUTE)
        if not is_many:
            return Answer(200, NO_STORE + around.cors)
        return json_answer(200 if done.prepared else 400, done.answer(), around.cors)

    async def _receive(self, request: web.BaseRequest) -> tuple[Surroundings, bool, Sorted]:
        """What was sent, worked out: whether it was an array, and each payment. Large ones take turns."""
        reader, bodies = self._parts.reader, self._parts.bodies
        if request.method != "POST":
            around, envelope = reader.asked(request, ROUTE)
            return around, *await self._work_out(request, around, envelope, envelope.query)
        around, envelope = reader.posted(request, ROUTE)
        sent = b""
        with self._counting_bad():
            data = bodies.at_hand(request)
            if data is None:
                sent = await bodies.read(request)
                data = bodies.decoded(request, sent)
        if data is not None and len(data) <= LARGE_BYTES:
            return around, *await self._work_out(request, around, envelope, data)
        async with self._parts.intake.turn:
            if data is None:
                with self._counting_bad():
                    data = await bodies.inflated(request, sent)
            return around, *await self._work_out(request, around, envelope, data)

    async def _work_out(
        self, request: web.BaseRequest, around: Surroundings, envelope: Envelope, said: bytes | Values
    ) -> tuple[bool, Sorted]:
        with self._counting_bad():
            sent = self._sent(request, envelope, said)
        self.counts.received.inc(len(sent.items))
        return sent.is_many, await self._prepared(envelope, sent, around.said)

    @contextmanager
    def _counting_bad(self) -> Iterator[None]:
        """Of a body that is not even told apart, one payment counts as received."""
        try:
            yield
        except BadHit:
            self.counts.received.inc()
            raise

    def _sent(self, request: web.BaseRequest, envelope: Envelope, said: bytes | Values) -> Sent:
        key = idempotency_key(request.headers.getall("Idempotency-Key", []))
        limits, values = self._parts.limits, said
        if isinstance(values, bytes):
            values = _object(values, limits.max_depth)
        pairs = path_values(unquote(raw_path_of(request.raw_path), errors="replace"))
        sent = self._parts.pipeline.payments_in(envelope, merge(pairs, values), key)
        if len(sent.items) > limits.max_events:
            raise TooLarge(f"more than {limits.max_events} payments in one request", "too_many")
        return sent

    async def _prepared(self, envelope: Envelope, sent: Sent, said: Mapping[str, Any]) -> Sorted:
        done = Sorted()
        payments = self._parts.pipeline.prepare_payments(envelope, sent, said, self._now())
        for index, payment in enumerate(payments):
            if index % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if isinstance(payment, BadHit):
                done.rejected.append((index, payment))
            else:
                done.prepared.append(payment)
        return done


def _object(data: bytes, max_depth: int) -> Values:
    """The body's object, numbers as decimals; an empty body is an empty one. Raises BadHit."""
    if not data or data.isspace():
        return {}
    refuse_countless_values(data)
    value = loads_exactly(data, max_depth)
    if not isinstance(value, dict):
        raise BadHit(NOT_AN_OBJECT, "form")
    return value
