"""Clicks on short links -> events, worked out and stored after the answer wherever it does not need them.

What is due to clicks is done a little at a time between requests, so that nobody who follows a link waits
for it; when too much of it is due, clicks are worked out before their answer. Memory is bounded either way.
A click that cannot be kept is only counted: a redirect promises nothing.
"""

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import NamedTuple

from aiohttp import web

from tracker.errors import BadHit
from tracker.events import Envelope, Hit, Identity
from tracker.pipeline import Prepared
from tracker.steps import ids
from tracker.steps.links import Way
from tracker.tables import ZERO_UUID
from tracker.web.counts import EventCounts
from tracker.web.ports import Now
from tracker.web.requests import Surroundings, valid_text
from tracker.web.tracking import TrackingParts

_log = logging.getLogger(__name__)

ROUTE = "link"
"""What clicks count under in metrics."""
MOST_LATER = 16_000
LATER_LENGTH = 2048
"""Requests with a longer target, user agent and language are worked out at once."""
PAUSE_SECONDS = 0.005
"""Requests have their turn this long between clicks that are worked out."""
WHILE_BUSY, WHILE_QUIET = 2, 16
"""Clicks that are worked out in a row, while others come and while none do."""
ONE_MORE_FOR = 1024
"""Clicks that are due for each that is worked out beyond WHILE_BUSY, so that what is due stays bounded."""
MOST_GATHERED = 128
"""Clicks are handed over together: each hand-over costs as much as a click."""
GATHER_SECONDS = 0.005
_CLICK = {"etyp": "redirect", "ename": "short_rdr"}


class _Click(NamedTuple):
    """What is to be worked out."""

    around: Surroundings
    target: str
    """The request's target as sent."""
    way: Way
    at: float
    who: Identity | None
    """Who the answer said it was; None when it said nothing."""


class Clicks:
    """Every click of one server. `take` is called for each, `close` at the end."""

    def __init__(self, parts: TrackingParts, now: Now) -> None:
        self._parts = parts
        self._pipeline = parts.pipeline
        self._now = now
        self.counts = EventCounts(parts.metrics, ROUTE)
        self._later: deque[_Click] = deque()
        self._has_come = False
        """A click came since some were worked out."""
        self._is_closing = False
        self._worker: asyncio.Task[None] | None = None
        self._gathered: list[Prepared] = []
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, request: web.BaseRequest, around: Surroundings, way: Way) -> bytes:
        """Have a click stored; the cookies that its answer sets."""
        self.counts.received.inc()
        target, is_plain = request.raw_path, way.values is None
        if len(self._later) < MOST_LATER and _is_small(around, target):
            who = self._known(around, target) if is_plain else None
            if who is not None or not is_plain:
                self._later.append(_Click(around, target, way, self._now(), who))
                self._has_come = True
                if self._worker is None or self._worker.done():
                    self._worker = asyncio.create_task(self._work())
                return self._cookies(around, who)
        identity = await self._store(_Click(around, target, way, self._now(), None))
        return self._cookies(around, identity) if is_plain else b""

    async def close(self) -> None:
        """Work off and hand over everything; the pipeline waits for it when it is closed. Safe twice.

        Cut off, what is left is counted.
        """
        self._is_closing = True
        try:
            if self._worker is not None and not self._worker.done():
                await self._worker
        finally:
            self.counts.unpromised.inc(len(self._later))
            self._later.clear()
            self._hand_over()

    def _known(self, around: Surroundings, target: str) -> Identity | None:
        """The visitor as the event's row will have it, if that is certain beforehand.

        It is not where the event may be anonymised, or where anything but the cookies may name its visitor.
        """
        if "?" in target or target.count("/") > 2:
            return None
        if not self._pipeline.keeps(around.said, gpc=around.gpc, dnt=around.dnt):
            return None
        if not around.said:
            made = ids.new_id()
            return Identity("", made, made, True)
        vid, sid = around.said.get("vid"), around.said.get("sid")
        is_new = vid is None
        vid = vid or ids.new_id()
        return Identity("", vid, sid or (vid if is_new else ids.new_id()), is_new)

    async def _work(self) -> None:
        """Work off what is due, some at a time."""
        while self._later:
            await asyncio.sleep(0 if self._is_closing else PAUSE_SECONDS)
            busy = WHILE_BUSY + len(self._later) // ONE_MORE_FOR
            quota = busy if self._has_come else max(busy, WHILE_QUIET)
            self._has_come = False
            for _ in range(min(quota, len(self._later))):
                await self._store(self._later.popleft())

    async def _store(self, click: _Click) -> Identity | None:
        envelope = self._envelope(click)
        is_new = click.who is not None and click.who.is_new
        try:
            if self._pipeline.consults:
                await self._parts.intake.consult(envelope, ({},))
            prepared = self._pipeline.prepare(Hit(envelope, {}, click.at), is_new=is_new)
        except BadHit as error:
            self.counts.rejected(error)
            return None
        except Exception:  # nobody awaits the answer to this: a bug must show up here or nowhere
            self.counts.unpromised.inc()
            _log.exception("a click was not worked out")
            return None
        self._gather(prepared)
        return prepared.identity

    def _envelope(self, click: _Click) -> Envelope:
        """The click as it was sent: a browser's for a plain link, a server's for a tracked one."""
        envelope = self._parts.reader.envelope(click.around, click.target, ROUTE)
        said = {**envelope.base, **_CLICK, "last": valid_text(click.target)}
        if click.who is not None:
            said |= {"vid": click.who.vid, "sid": click.who.sid}
        if click.way.values is None:
            return replace(envelope, base=said)
        return replace(envelope, is_client=False, base={**said, **click.way.values})

    def _gather(self, prepared: Prepared) -> None:
        self._gathered.append(prepared)
        if len(self._gathered) >= MOST_GATHERED:
            self._hand_over()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._hand_over)

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            self._pipeline.store_later(self._gathered, ROUTE)
            self._gathered = []

    def _cookies(self, around: Surroundings, identity: Identity | None) -> bytes:
        if identity is None or not identity.is_lasting:
            return b""
        return self._parts.cookies.lines_for(identity, around.host, around.is_https)


def _is_small(around: Surroundings, target: str) -> bool:
    """Whether a click takes little memory until it is worked out: its headers said nothing but who it is."""
    if len(target) + len(around.user_agent) + len(around.language) > LATER_LENGTH:
        return False
    return not around.said or all(key in ("vid", "sid") and _is_id(sent) for key, sent in around.said.items())


def _is_id(sent: object) -> bool:
    """Whether a cookie's id is a row's id too."""
    return isinstance(sent, str) and sent != ZERO_UUID and ids.is_canonical(sent) is not None
