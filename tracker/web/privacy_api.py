"""The privacy routes, /tr/v1/ppi/{action}: agreements, told and asked for, and where which rule holds.

What an agreement means is `steps.agreements`' business, where rows are found `records`'.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tracker.errors import BadHit, RecordsUnavailable
from tracker.events import Hit
from tracker.records.lookup import Lookup
from tracker.steps import ids
from tracker.steps.payments import idempotency_key
from tracker.web.answers import NO_STORE, Answer, header_lines, json_answer, text_answer
from tracker.web.counts import EventCounts
from tracker.web.documents import one_object
from tracker.web.ports import Handler, Now
from tracker.web.requests import Surroundings, query_pairs, raw_path_of
from tracker.web.tracking import TrackingParts

ROUTE = "ppi"
HIDDEN = frozenset({"ip", "iphash", "browser", "bhash"})
"""Columns of an agreement that no answer tells."""


class PrivacyApi:
    """Agreements and jurisdictions; `others` are actions of other parts, by name and method."""

    def __init__(
        self,
        parts: TrackingParts,
        consents: Lookup,
        jurisdictions: Lookup,
        now: Now,
        others: Mapping[str, Mapping[str, Handler]],
    ) -> None:
        self._parts = parts
        self._consents = consents
        self._jurisdictions = jurisdictions
        self._now = now
        self._counts = EventCounts(parts.metrics, ROUTE)
        self.actions: Mapping[str, Mapping[str, Handler]] = {
            "agree": {"GET": self.agreements, "HEAD": self.agreements, "POST": self.agree},
            "jds": {"GET": self.jurisdictions, "HEAD": self.jurisdictions},
            **others,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Whatever the action that the path names answers."""
        action, *deeper = unquote(raw_path_of(request.raw_path), errors="replace").split("/")[4:] or [""]
        handlers = self.actions.get(action)
        if handlers is None:
            return text_answer(400, "Unknown action", self._around(request).cors)
        if any(deeper):
            return text_answer(404, "no such route", self._around(request).cors)
        handler = handlers.get(request.method)
        if handler is None:
            allow = header_lines(("Allow", ", ".join((*handlers, "OPTIONS"))))
            return text_answer(405, "method not allowed here", self._around(request).cors + allow)
        return await handler(request)

    async def agree(self, request: web.BaseRequest) -> Answer:
        """Take an agreement: empty, durable, and told by `agreements` from now on."""
        self._counts.received.inc()
        around, envelope = self._parts.reader.posted(request, ROUTE)
        try:
            body = await one_object(self._parts.bodies, request, self._parts.limits.max_depth)
            key = idempotency_key(request.headers.getall("Idempotency-Key", []))
            prepared, row = self._parts.pipeline.prepare_agreement(Hit(envelope, body, self._now()), key)
        except BadHit as error:
            self._counts.rejected(error)
            raise
        retries = await self._parts.pipeline.store((prepared,), ROUTE)
        if not retries and prepared.decision.outcome != "drop":  # of a retry the first one counts
            self._consents.wrote(row)
        return Answer(200, NO_STORE + around.cors)

    async def agreements(self, request: web.BaseRequest) -> Answer:
        """What a visitor agreed to, for each organisation, as it is now; 404 when no visitor is named."""
        around = self._around(request)
        asked = {name.lower(): value for name, value in reversed(query_pairs(request.raw_path))}
        vid = _id(asked.get("vid") or str(around.said.get("vid", "")))
        if not vid:
            return json_answer(404, [], around.cors)
        rows = await self._current(vid, _id(asked.get("oid", "")))
        return json_answer(200, [_told(row) for row in rows], around.cors)

    async def jurisdictions(self, request: web.BaseRequest) -> Answer:
        """Every rule of consent and where it holds."""
        rows = await self._jurisdictions.rows({})
        rows.sort(key=lambda row: (row["regulation"], row["compliance"], row["seq"]))
        return json_answer(200, rows, self._around(request).cors)

    async def _current(self, vid: str, oid: str) -> list[dict[str, Any]]:
        """Rows by organisation. While the store is away, what this instance knows of."""
        try:
            found = await self._consents.rows({"vid": [vid], "oid": [oid]} if oid else {"vid": [vid]})
        except RecordsUnavailable:
            known = self._consents.peek(vid)
            if not isinstance(known, dict) or (oid and known["oid"] != oid):
                raise
            found = [known]
        return sorted(found, key=lambda row: str(row["oid"]))

    def _around(self, request: web.BaseRequest) -> Surroundings:
        return self._parts.reader.surroundings(request)


def _id(text: str) -> str:
    """The id as rows have it; '' for none."""
    text = text.strip()
    return (ids.parse(text) or ids.named(text)) if text else ""


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in HIDDEN}
