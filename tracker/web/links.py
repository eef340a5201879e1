"""rpi: short links are made, changed and listed by the accounts that own their hosts.

What a link may be is `steps.links`' business, who asks `credentials`', following a link `resolver`'s.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tracker.clock import timestamp_text
from tracker.errors import BadHit, TooLarge
from tracker.events import Entry, Identity, Values
from tracker.pipeline import Prepared
from tracker.records.accounts import Account
from tracker.steps.hosts import ascii_host, bare_host, target_host
from tracker.steps.json_input import loads
from tracker.steps.links import (
    BAD_DATA,
    SELF_REFERENTIAL,
    Link,
    LinkRules,
    address_key,
    history_row,
    is_tracked,
    link_path,
    link_row,
    rows_of,
    way_of,
)
from tracker.web.answers import Answer, header_lines, json_answer, text_answer
from tracker.web.counts import EventCounts
from tracker.web.ports import EventPipeline, Now
from tracker.web.requests import query_pairs, raw_path_of
from tracker.web.resolver import destination_origin
from tracker.web.services import WebServices
from tracker.web.tracking import TrackingParts

ROUTE = "rpi"
MAX_BYTES = 64 * 1024
"""Of one link's body."""
MOST_HOPS = 8
"""Links that may lead on from one to the next."""
MOST_LISTED = 1000
MOST_READ = 10_000
"""Changes that are read for a list; of a host with more, one link is to be named."""
TOO_MANY = "too many changes for a list: name one link of the host by ?slugfrom=/path"
NOT_OWNED = "this account does not own that host"


class Links:
    """The handlers of rpi."""

    def __init__(
        self,
        services: WebServices,
        rules: LinkRules,
        parts: TrackingParts,
        version: str,
        now: Now,
    ) -> None:
        """`version` is v1."""
        self._history = services.link_history
        self._credentials = services.credentials
        self._rules = rules
        self._parts = parts
        self._maker = LinkMaker(services, parts.pipeline, version, now)
        self.counts = EventCounts(parts.metrics, ROUTE)

    async def post(self, request: web.BaseRequest) -> Answer:
        """`redirect[/{uid}/{password}]`: make a link or change one; empty when it is durable."""
        cors = self._parts.reader.surroundings(request).cors
        action, *words = _words(request)
        if action == "redirects":
            return _not_allowed("GET", cors)
        if action != "redirect" or len(words) > 2:
            return text_answer(404, "no such route", cors)
        account = await self._credentials.account(request, *words)
        self.counts.received.inc()
        link = self._rules.read(await self._body(request))
        if not _owns(account, link.host):
            self.counts.rejected(BadHit(NOT_OWNED, "not_owned"))
            return text_answer(403, NOT_OWNED, cors)
        await self._maker.make(link, account.uid)
        return Answer(200, cors)

    async def get(self, request: web.BaseRequest) -> Answer:
        """`redirects[/{uid}/{password}]/{host}[?slugfrom=/path]`: what was made of a host, newest first.

        The last thousand changes, of the host or of one of its links.
        """
        cors = self._parts.reader.surroundings(request).cors
        action, *words = _words(request)
        if action == "redirect":
            return _not_allowed("POST", cors)
        if action != "redirects" or len(words) > 3:
            return text_answer(404, "no such route", cors)
        host = ascii_host(bare_host(words.pop())) if len(words) in (1, 3) else ""
        account = await self._credentials.account(request, *words)
        if not host:
            raise BadHit("Bad URL (null)", "bad_link")
        if not _owns(account, host):
            return text_answer(403, NOT_OWNED, cors)
        return json_answer(200, {"results": await self._listed(host, _asked_slug(request))}, cors)

    async def _listed(self, host: str, slug: str | None) -> list[dict[str, Any]]:
        where = {"hostfrom": [host]} if slug is None else {"hostfrom": [host], "slugfrom": [slug]}
        rows = await self._history.rows(where, limit=MOST_READ)
        if len(rows) >= MOST_READ:  # they come oldest first, so the newest may be missing
            raise BadHit(TOO_MANY, "too_many")
        rows.sort(key=lambda row: (row["updated_at"], row["id"]), reverse=True)
        return rows[:MOST_LISTED]

    async def _body(self, request: web.BaseRequest) -> Values:
        """The JSON object that was sent. Raises BadHit with the original's texts."""
        bodies = self._parts.bodies
        sent = await bodies.read(request)
        data = bodies.decoded(request, sent)
        if data is None:
            data = await bodies.inflated(request, sent)
        if not data or data.isspace():
            raise BadHit("Bad request (body)", "bad_link")
        if len(data) > MAX_BYTES:
            raise TooLarge(f"a link has more than {MAX_BYTES} bytes")
        try:
            values = loads(data, self._parts.limits.max_depth)
        except BadHit as error:
            raise BadHit(BAD_DATA, error.code) from error
        if not isinstance(values, dict):
            raise BadHit(BAD_DATA, "form")
        return values


class LinkMaker:
    """Makes links durable, unless they lead in a circle."""

    def __init__(self, services: WebServices, pipeline: EventPipeline, version: str, now: Now) -> None:
        self._links = services.links
        self._history = services.link_history
        self._orgs = services.orgs
        self._pipeline = pipeline
        self._version = version
        self._stamp = _rising(now)
        self._being_made: dict[str, Link] = {}
        """Two that would lead to each other see each other here, though neither is stored yet."""

    async def make(self, link: Link, uid: str) -> None:
        """Store it as the account's; it is followed from now on.

        Raises BadHit for a circle, RecordsUnavailable, CannotStore.
        """
        self._being_made[link.key] = link
        try:
            await self._refuse_circle(link)
            known = await self._links.get(link.key)
            now = self._stamp(known["updated_at"] if known else "")
            current = link_row(link, uid, now, known["created_at"] if known else now)
            history = history_row(link, uid, now)
            identity = Identity(eid=history["id"], vid="", sid="", is_new=False)
            await self._pipeline.store((Prepared(identity, Entry(rows_of(current, history)), ()),), ROUTE)
            self._links.wrote(current)
            self._history.wrote(history)
        finally:
            if self._being_made.get(link.key) is link:
                del self._being_made[link.key]

    async def _refuse_circle(self, link: Link) -> None:
        """Follow the link as browsers would, through other links, until it leaves them."""
        seen, host, urlto = {link.key}, link.host, link.urlto
        for _ in range(MOST_HOPS):
            address = await self._address(host, urlto)
            if not is_tracked(address, self._version):
                key = address_key(address)
                if key in seen:
                    break
                address = await self._led_to(key) if key else ""
                seen.add(key)
            if not address:
                return
            host, urlto = target_host(address), address
        raise BadHit(SELF_REFERENTIAL, "bad_link")

    async def _address(self, host: str, urlto: str) -> str:
        """Where a link of this host leads a browser; '' for nowhere."""
        way = way_of(urlto, self._version)
        if not way.target.startswith("/"):
            return way.target
        origin = await destination_origin(self._orgs, way.oid) if way.oid else ""
        return f"{origin or f'https://{host}'}{way.target}"

    async def _led_to(self, key: str) -> str:
        being_made = self._being_made.get(key)
        if being_made is not None:
            return being_made.urlto
        row = await self._links.get(key)
        return str(row["urlto"]) if row else ""


def _rising(now: Now) -> Callable[[str], str]:
    """Times as rows hold them, each later than the one before and than the one given ('' for none)."""
    last = 0

    def stamp(after: str) -> str:
        nonlocal last
        least = _milliseconds(after) + 1 if after else 0
        last = max(int(now() * 1000), last + 1, least)
        return timestamp_text((last + 0.5) / 1000)  # half a millisecond: no rounding ends below the right one

    return stamp


def _milliseconds(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def _words(request: web.BaseRequest) -> list[str]:
    """What follows /tr/v1/rpi/, decoded word by word, for a password may have a slash; at least ''."""
    words = raw_path_of(request.raw_path).split("/")[4:]
    if words and not words[-1]:
        words.pop()
    return [unquote(word, errors="replace") for word in words] or [""]


def _asked_slug(request: web.BaseRequest) -> str | None:
    sent = next((value for key, value in query_pairs(request.raw_path) if key == "slugfrom"), None)
    if sent is None:
        return None
    path = link_path(sent)
    if not path:
        raise BadHit("Bad URL (from path)", "bad_link")
    return path


def _owns(account: Account, host: str) -> bool:
    return account.is_admin or host in account.hosts


def _not_allowed(method: str, cors: bytes) -> Answer:
    return text_answer(405, "method not allowed here", cors + header_lines(("Allow", f"{method}, OPTIONS")))
