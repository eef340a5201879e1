"""One client's connection: aiohttp's, with bounds on what it may make us keep and for how long.

It knows its own state and the ways in which it can be ended; when that is due decides `doors`. aiohttp tells
nobody else what a connection is doing, so this is the one module that looks at what aiohttp keeps for itself.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, cast

from aiohttp import WSCloseCode, web
from aiohttp.web_protocol import RequestHandler

from tracker.errors import CannotStore, TrackerError
from tracker.web.answers import closing_answer

GIVES_WAY = "too much is being sent at once"


class Watch(Protocol):
    """Who is told about a connection; see `tracker.web.doors.Doors`."""

    mark: int
    """More unread bytes than this are reported."""

    def enter(self, connection: "Connection") -> None:
        """It was made."""

    def grew(self, connection: "Connection") -> None:
        """It has more unread bytes than the mark."""

    def shrank(self, connection: "Connection") -> None:
        """It had, and has none now."""

    def leave(self, connection: "Connection") -> None:
        """It is gone."""


class Connection(RequestHandler):
    """Counts what came and was not answered yet (on a WebSocket: since the last whole message)."""

    __slots__ = (
        "_deadline",
        "_mark",
        "_seen",
        "_watch",
        "address",
        "has_said_all",
        "is_quiet",
        "since",
        "stuck_since",
        "trouble",
        "unread",
        "wire",
    )

    def __init__(self, server: web.Server, watch: Watch, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._msg_queue_resume_size = 0  # read on when all that was sent ahead is answered
        self._watch = watch
        self._mark = watch.mark
        self._deadline: asyncio.Timeout | None = None
        self.wire: asyncio.Transport | None = None
        """The transport, also while it is closing."""
        self.address = b""
        """Whom it counts for; set by the watch."""
        self.unread = 0
        self.since = 0.0
        """When it was first seen owing us the rest of something; 0 when it owes nothing. The watch's."""
        self.stuck_since = 0.0
        """When it was first seen not taking our answer; 0 when it does. The watch's."""
        self.has_said_all = False
        """Its client sends no more, and may still wait for answers."""
        self.is_quiet = False
        """It has not asked anything since the watch looked before."""
        self._seen = -1
        self.trouble: TrackerError | None = None
        """Why the body that is being read is given up."""

    @property
    def is_waiting(self) -> bool:
        """Nothing is under way: for the next request, or the rest of its head."""
        # aiohttp starts to wait for the first request only after it may have come.
        return not self._waiter.done() if self._waiter is not None else not self._request_count

    @property
    def is_new(self) -> bool:
        """It has not sent a whole head yet."""
        return not self._request_count

    @property
    def is_socket(self) -> bool:
        """It has become a WebSocket."""
        return self._payload_parser is not None

    @property
    def can_give_way(self) -> bool:
        """Whether `give_way` would free what it holds."""
        return not self.is_leaving and (self._deadline is not None or self.is_waiting or self.is_socket)

    @property
    def is_leaving(self) -> bool:
        """It was told to, or goes by itself."""
        return self._close or self.trouble is not None or self.wire is None or self.wire.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: a client came."""
        super().connection_made(transport)
        self.wire = cast(asyncio.Transport, transport)
        self._watch.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Asyncio's: it is gone."""
        self._watch.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Asyncio's: it sent something."""
        # What comes in between is the rest of a refused body: it is thrown away.
        if self._waiter is not None or self._request_in_progress or not self._request_count:
            self.unread += len(data)
        RequestHandler.data_received(self, data)
        if self.unread > self._mark:
            self._watch.grew(self)
        if self._waiter is None and len(self._messages) > 1 and not self._buffer_paused:
            # One request ahead is usual: a client has our answer before we have noticed. One read of several
            # is enough.
            self._pause_reading_for_buffer()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's protocol may answer True, aiohttp's never does
        """A client that has said all it wanted may still wait for its answers."""
        request = self._current_request
        if self.is_waiting or self.is_socket:
            return False
        self.has_said_all = request is None or request.content.is_eof()
        return self.has_said_all

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Aiohttp's: write the answer. What was asked with is dealt with."""
        if self.unread > self._mark:
            self._watch.shrank(self)
            self.trouble = None
        self.unread = 0
        return RequestHandler.finish_response(self, request, resp, start_time)

    def seen(self) -> None:
        """The watch looked."""
        self.is_quiet, self._seen = self._seen == self._request_count, self._request_count

    def took(self, size: int) -> None:
        """So much of what came was dealt with."""
        before, self.unread = self.unread, max(0, self.unread - size)
        if self.unread > self._mark:
            self._watch.grew(self)
        elif before > self._mark:
            self._watch.shrank(self)

    def reads_until(self, deadline: asyncio.Timeout | None) -> None:
        """A handler reads the body, up to this deadline; None: it has ended reading."""
        self._deadline = deadline

    def give_up(self, trouble: TrackerError) -> None:
        """End the reading of a body; `trouble` is what its handler is to raise."""
        if self._deadline is not None and not self._deadline.expired():
            self.trouble = trouble
            self._deadline.reschedule(0)

    def give_way(self) -> None:
        """Let go of what is held: others need the room."""
        if self.is_socket:
            self._part(WSCloseCode.TRY_AGAIN_LATER)
        elif self.is_waiting:
            self.refuse(503, GIVES_WAY, b"Retry-After: 1\r\n")
        else:
            self.give_up(CannotStore(GIVES_WAY, 1))

    def turn_away(self, status: int, reason: str, head: bytes = b"") -> None:
        """Answer a new connection and close it at once."""
        if self.wire is not None and not self.wire.is_closing():
            self.wire.write(closing_answer(status, reason, head))
        self.force_close()

    def refuse(self, status: int, reason: str, head: bytes = b"") -> None:
        """Answer without a request, and read no more.

        To close at once would reset the connection, answer included, when more comes: the watch closes it.
        """
        if self.wire is not None and not self.is_leaving:
            self.wire.write(closing_answer(status, reason, head))
            self.wire.write_eof()
        self._close = self.has_said_all = True

    def cut(self) -> None:
        """End it now, whatever was not written yet."""
        if self.wire is not None:
            self.wire.abort()

    def _part(self, code: WSCloseCode) -> None:
        if self.wire is not None:
            self.wire.write(b"\x88\x02" + code.to_bytes(2, "big"))
            self.wire.close()


def connection_of(request: web.BaseRequest) -> Connection:
    """The connection that a request came by."""
    return cast(Connection, request.protocol)
