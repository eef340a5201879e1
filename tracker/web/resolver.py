"""`/`: a short link is followed at once; the click is stored afterwards, without anybody waiting for it.

What a link is and where it may lead is `steps.links`' business, its current row `records`'.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from tracker.errors import RecordsUnavailable
from tracker.records.lookup import Lookup, Unknown
from tracker.steps.hosts import origin_of
from tracker.steps.links import Way, link_key, way_of
from tracker.web.answers import NO_STORE, Answer, header_lines, text_answer, try_again_answer
from tracker.web.clicks import Clicks
from tracker.web.memo import Memo
from tracker.web.ports import Now
from tracker.web.redirects import STAYS
from tracker.web.requests import raw_path_of
from tracker.web.services import WebServices
from tracker.web.tracking import TrackingParts

REMEMBERED = 4096
REMEMBERED_LENGTH = 1024
"""Longer targets are judged each time, so that memory is bounded."""
RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class _Signpost:
    """What is worked out once for a target."""

    way: Way
    location: bytes
    """The header line; b"" while the organisation's host is to be looked up."""


class Resolver:
    """The handlers of every path that no other route has."""

    def __init__(self, services: WebServices, parts: TrackingParts, version: str, now: Now) -> None:
        """`version` is v1."""
        self._links = services.links
        self._orgs = services.orgs
        self._parts = parts
        self._version = version
        self._clicks = Clicks(parts, now)
        self.counts = self._clicks.counts
        self._signposts: Memo[str, _Signpost] = Memo(REMEMBERED)
        self._followed, self._tracked, self._unknown, self._refused, self._unavailable = (
            parts.metrics.tally(parts.metrics.short_links.labels(outcome))
            for outcome in ("followed", "tracked", "unknown", "refused", "unavailable")
        )

    def follow(self, request: web.BaseRequest) -> Awaitable[Answer]:
        """GET: on to where the link leads, and an event about it."""
        return self._answer(request, is_click=True)

    def look(self, request: web.BaseRequest) -> Awaitable[Answer]:
        """HEAD: where the link leads; nobody followed it."""
        return self._answer(request, is_click=False)

    async def close(self) -> None:
        """Work off the last clicks. Safe twice."""
        await self._clicks.close()

    async def _answer(self, request: web.BaseRequest, *, is_click: bool) -> Answer:
        around = self._parts.reader.surroundings(request)
        key = link_key(around.host, raw_path_of(request.raw_path))
        try:
            row = self._links.peek(key) if key else None
            if isinstance(row, Unknown):
                row = await self._links.get(key)
            if row is None:
                self._unknown.inc()
                return text_answer(404, "no such route")
            post = self._signpost(row["urlto"])
            location = post.location or await self._below_organisation(post.way)
        except RecordsUnavailable:
            self._unavailable.inc()
            return try_again_answer("short links cannot be looked up now", RETRY_SECONDS)
        if not location:
            self._refused.inc()
            return text_answer(404, "this link leads nowhere")
        is_plain = post.way.values is None
        (self._followed if is_plain else self._tracked).inc()
        cookies = self._clicks.later(request, around, post.way) if is_click else b""
        if cookies is None:
            cookies = await self._clicks.now(request, around, post.way)
        return Answer(302, b"%b%b%b%b" % (location, NO_STORE, around.cors, cookies))

    def _signpost(self, urlto: str) -> _Signpost:
        known = self._signposts.get(urlto)
        if known is None:
            way = way_of(urlto, self._version)
            is_known = way.target and not (way.target.startswith("/") and way.oid)
            known = _Signpost(way, _location(way.target) if is_known else b"")
            if len(urlto) <= REMEMBERED_LENGTH:
                self._signposts.keep(urlto, known)
        return known

    async def _below_organisation(self, way: Way) -> bytes:
        """A path below the host that the organisation names; without one it stays on the link's own host."""
        if not way.target:
            return b""
        return _location(await destination_origin(self._orgs, way.oid) + way.target)


async def destination_origin(orgs: Lookup, oid: str) -> str:
    """The origin that an organisation's paths are below; '' when it names none. Raises RecordsUnavailable."""
    row = await orgs.get(oid)
    named = row["ddata"].get("default_destination_host") if row else None
    return origin_of(named) if isinstance(named, str) else ""


def _location(target: str) -> bytes:
    return header_lines(("Location", quote(target, safe=STAYS)))
