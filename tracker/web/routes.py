"""What every route has in common: its methods, the connection limit, errors as answers, counting.

One small wrapper instead of a stack of middleware; what a route does is in `tracking`, `health`, `files`
and `websocket`.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import perf_counter

from aiohttp import web
from aiohttp.http import HttpVersion11

from tracker.errors import BadHit, CannotStore, RecordsUnavailable, TooLarge
from tracker.metrics import Metrics, Tally
from tracker.web.answers import Answer, header_lines, text_answer, try_again_answer
from tracker.web.bodies import TooSlow
from tracker.web.cors import Cors
from tracker.web.counts import EventCounts
from tracker.web.credentials import Refused
from tracker.web.gate import Gate
from tracker.web.inflate import UnknownEncoding
from tracker.web.ports import Handler
from tracker.web.requests import RequestReader

_log = logging.getLogger(__name__)

FULL = "Maximum clients reached on this node.\n"
_STATUS_OF = {TooLarge: 413, UnknownEncoding: 415, TooSlow: 408}
_ACCEPTED_ENCODINGS = header_lines(("Accept-Encoding", "gzip, deflate, zstd, lz4"))


@dataclass(frozen=True, slots=True)
class Commons:
    """What all routes share."""

    reader: RequestReader
    cors: Cors
    gate: Gate
    metrics: Metrics


class Route:
    """One route; always comes back with an answer, unless the client has gone."""

    def __init__(
        self,
        name: str,
        handlers: Mapping[str, Handler],
        commons: Commons,
        counts: EventCounts | None = None,
        *,
        otherwise: Handler | None = None,
        actions: Mapping[str, Collection[str]] | None = None,
        is_limited: bool = False,
        is_timed: bool = True,
    ) -> None:
        self._name = name
        self._handlers = handlers
        self._otherwise = otherwise
        self._actions = actions
        self._commons = commons
        self._gate = commons.gate
        self._counts = counts
        self._is_limited = is_limited
        seconds = commons.metrics.request_seconds
        self._seconds = commons.metrics.durations(seconds.labels(name)) if is_timed else None
        self._by_status: dict[int, Tally] = {}
        self._allow = header_lines(("Allow", ", ".join((*handlers, "OPTIONS"))))

    @property
    def methods(self) -> Mapping[str, Collection[str]]:
        """Its name to the methods it answers; of a route with actions, `name/action` to each one's."""
        if self._actions is None:
            return {self._name: self._handlers.keys()}
        return {f"{self._name}/{action}": methods for action, methods in self._actions.items()}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request and count it."""
        started = perf_counter()
        handler = self._handlers.get(request.method, self._otherwise)
        if handler is None or ("Host" not in request.headers and request.version >= HttpVersion11):
            answer: web.StreamResponse = self._unhandled(request, handler)
        elif self._is_limited and not self._gate.enter():
            answer = try_again_answer(FULL, 1, self._cors(request))
        else:
            try:
                answer = await handler(request)
            except Exception as error:  # errors become answers in one place
                answer = self._answer_to(error, request)
            finally:
                if self._is_limited:
                    self._gate.leave()
        if self._seconds is not None:
            self._seconds.observe(perf_counter() - started)
        self._count(answer.status)
        return answer

    def _count(self, status: int) -> None:
        counter = self._by_status.get(status)
        if counter is None:
            metrics = self._commons.metrics
            counter = metrics.tally(metrics.requests.labels(self._name, str(status)))
            self._by_status[status] = counter
        counter.inc()

    def _answer_to(self, error: Exception, request: web.BaseRequest) -> Answer:
        """What an error means to the sender. Raises it when nobody is there to be told."""
        if isinstance(error, BadHit):
            if self._counts is not None:
                self._counts.rejected(error)
            return self._refusal(request, error)
        if isinstance(error, CannotStore | RecordsUnavailable):
            return try_again_answer(error.reason, error.retry_after_seconds, self._cors(request))
        if isinstance(error, Refused):
            return text_answer(error.status, error.reason, self._cors(request) + error.head)
        if isinstance(error, web.HTTPException):  # aiohttp's own refusal, of a WebSocket handshake
            return text_answer(error.status, error.text or error.reason, self._cors(request))
        if isinstance(error, ConnectionError):
            raise error
        _log.error("request failed", exc_info=error, extra={"fields": {"route": self._name}})
        return text_answer(500, "internal error", self._cors(request))

    def _refusal(self, request: web.BaseRequest, error: BadHit) -> Answer:
        status = _STATUS_OF.get(type(error), 400)
        extra = _ACCEPTED_ENCODINGS if status == 415 else b""
        return text_answer(status, error.reason, self._cors(request) + extra)

    def _unhandled(self, request: web.BaseRequest, handler: Handler | None) -> Answer:
        if handler is not None or "Host" not in request.headers:
            return text_answer(400, "HTTP/1.1 requires a Host header")
        if request.method == "OPTIONS":
            return Answer(200, self._cors(request) + self._commons.cors.preflight + self._allow)
        return text_answer(405, "method not allowed here", self._cors(request) + self._allow)

    def _cors(self, request: web.BaseRequest) -> bytes:
        return self._commons.reader.surroundings(request).cors
