"""Clicks on short links -> events, worked out and stored after the answer wherever it does not need them.

What is due to clicks is done in time that requests leave over, a little at a time, so that nobody who follows
a link waits for it; when too much of it is due, clicks are worked out before their answer. Memory is bounded
either way.
A click that cannot be kept is only counted: a redirect promises nothing.
"""

import asyncio
import logging
from collections import deque
from dataclasses import replace
from time import perf_counter, process_time, thread_time
from typing import NamedTuple

from aiohttp import web

from tracker.errors import BadHit
from tracker.events import Envelope, Hit, Identity
from tracker.pipeline import Prepared
from tracker.steps import ids
from tracker.steps.links import Way
from tracker.tables import ZERO_UUID
from tracker.tuning import cores
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
PAUSE_SECONDS = 0.002
"""Requests have their turn this long between clicks that are worked out."""
MOST_SECONDS = 0.0005
"""Nobody waits longer than this for clicks that are worked out in a row, and the last of them."""
PART_OF_IDLE = 0.5
"""Of the time that requests, and what the process does beside them, left over, so much goes to clicks."""
ONE_FOR = 2048
"""Clicks that are due for each that is worked out although no time was left over."""
PATIENCE_SECONDS = 1.0
"""After which one more is worked out in each pause, time or not."""
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
    """Every click of one server: `later` for each, `now` where that says None, `close` at the end."""

    def __init__(self, parts: TrackingParts, now: Now) -> None:
        self._parts = parts
        self._pipeline = parts.pipeline
        self._time = now
        self.counts = EventCounts(parts.metrics, ROUTE)
        self._later: deque[tuple[Surroundings, str, Way, float, Identity | None]] = deque()
        """The fields of clicks."""
        self._cores = cores()
        self._is_closing = False
        self._worker: asyncio.Task[None] | None = None
        self._gathered: list[Prepared] = []
        self._timer: asyncio.TimerHandle | None = None

    def later(self, request: web.BaseRequest, around: Surroundings, way: Way) -> bytes | None:
        """Take down a click that is worked out after its answer; the cookies that the answer sets.

        None where they are not known without working it out, and while too much is due: then it is for `now`.
        """
        target, who = request.raw_path, None
        if len(self._later) >= MOST_LATER or not _is_small(around, target):
            return None
        if way.values is None and (who := self._known(around, target)) is None:
            return None
        self.counts.received.inc()
        self._later.append((around, target, way, self._time(), who))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return self._cookies(around, who)

    async def now(self, request: web.BaseRequest, around: Surroundings, way: Way) -> bytes:
        """Work out a click and hand it over; the cookies that its answer sets."""
        self.counts.received.inc()
        identity = await self._store(_Click(around, request.raw_path, way, self._time(), None))
        return self._cookies(around, identity) if way.values is None else b""

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
            until = await self._pause()
            least = len(self._later) // ONE_FOR + self._is_overdue()
            while self._later and (least > 0 or perf_counter() < until):
                least -= 1
                await self._store(_Click(*self._later.popleft()))

    def _is_overdue(self) -> bool:
        *_, at, _ = self._later[0]
        return self._time() - at > PATIENCE_SECONDS

    async def _pause(self) -> float:
        """Let requests have their turn; until when clicks may be worked out, by `perf_counter`."""
        began, by_us, by_all = perf_counter(), thread_time(), process_time()
        await asyncio.sleep(0 if self._is_closing else PAUSE_SECONDS)
        now = perf_counter()
        ours = (now - began) - (thread_time() - by_us)
        machines = (now - began) * self._cores - (process_time() - by_all)
        return now + (
            MOST_SECONDS if self._is_closing else min(MOST_SECONDS, PART_OF_IDLE * min(ours, machines))
        )

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
