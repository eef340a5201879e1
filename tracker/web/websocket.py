"""ws: a stream of events over one socket, silent by default, acknowledged in order with `?ack=1`.

The envelope is captured once, at the upgrade; frames are unpacked by `frames`, sorted by `intake`.
"""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.http import WSMessageNoDecodeText

from tracker.errors import BadHit, CannotStore
from tracker.events import Envelope
from tracker.web.answers import try_again_answer
from tracker.web.bodies import Many, told_apart
from tracker.web.connection import Connection, connection_of
from tracker.web.cookies import CookieWriter
from tracker.web.counts import EventCounts
from tracker.web.files import response_headers
from tracker.web.frames import inflated_bytes, unpack
from tracker.web.intake import LARGE_BYTES, Intake, Sorted, of_visitor
from tracker.web.ports import EventPipeline
from tracker.web.requests import RequestReader
from tracker.web.settings import WebLimits

_log = logging.getLogger(__name__)

IN_FLIGHT = 16
"""Frames of one socket that may wait for the disk; beyond them nothing more is read from it."""
FRAMING_BYTES = 14
"""A frame's head has at most so many."""
HEARTBEAT_SECONDS = 30.0
CLOSE_SECONDS = 2.0
"""How long a peer may take to answer our close."""
FULL = "too many WebSockets on this node\n"
_NO_EVENTS = Sorted()


@dataclass(frozen=True, slots=True)
class SocketParts:
    """What sockets are made of."""

    limits: WebLimits
    pipeline: EventPipeline
    reader: RequestReader
    intake: Intake
    cookies: CookieWriter
    counts: EventCounts


class Sockets:
    """The handler of ws, and all sockets that are open."""

    def __init__(self, parts: SocketParts) -> None:
        self._parts = parts
        self._open: dict[Socket, asyncio.Task[Any] | None] = {}
        self._is_closing = False
        self._most_deflating = parts.limits.max_bodies_in_memory // parts.limits.max_message_bytes
        self._deflating = 0
        self.counts = parts.counts

    def __len__(self) -> int:
        return len(self._open)

    async def upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one socket until it closes. Over the limit: 503."""
        parts = self._parts
        around, envelope = parts.reader.asked(request, "ws")
        if self._is_closing or len(self._open) >= parts.limits.max_websockets:
            return try_again_answer(FULL, 1, around.cors)
        query = dict(envelope.query)
        is_acking = query.pop("ack", "") in ("1", "true")
        await parts.intake.consult(envelope, ({},))
        who = parts.intake.one(envelope, {}).identity
        envelope = of_visitor(replace(envelope, query=query), who)
        response: web.WebSocketResponse[Literal[False]] = web.WebSocketResponse(
            timeout=CLOSE_SECONDS,
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=parts.limits.max_message_bytes,
            # One read may make a whole message of a few bytes, on all sockets at once: so not on all of them.
            compress=self._deflating < self._most_deflating,
            decode_text=False,
            protocols=_asked_protocols(request),
        )
        lines = around.cors + parts.cookies.lines_for(who, around.host, around.is_https)
        response.headers.extend(response_headers(lines))
        await response.prepare(request)
        _answer_plainly(response)
        socket = Socket(
            response, connection_of(request), envelope, parts, is_acking=is_acking, is_new=who.is_new
        )
        self._deflating += bool(response.compress)
        try:
            await self._serve(socket)
        finally:
            self._deflating -= bool(response.compress)
        return response

    async def _serve(self, socket: "Socket") -> None:
        self._open[socket] = asyncio.current_task()
        try:
            await socket.run()
        except Exception:  # the upgrade is done: no HTTP answer can tell of a bug any more
            _log.exception("socket failed", extra={"fields": {"route": "ws"}})
            await socket.fail()
        finally:
            del self._open[socket]

    async def close(self) -> None:
        """Tell every socket to finish what it took, and wait until all have. Safe twice."""
        self._is_closing = True
        tasks = [task for task in self._open.values() if task is not None]
        for socket in self._open:
            socket.stop()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS * 2)


def _asked_protocols(request: web.BaseRequest) -> list[str]:
    """Whatever sub-protocol a client names is spoken: browsers close a socket that answers with none."""
    return [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]


def _answer_plainly(response: "web.WebSocketResponse[Literal[False]]") -> None:
    """Acknowledgements go out as they are: a compressor takes 268 KiB for as long as its socket is open."""
    if response._writer is not None:
        response._writer.compress = 0


def _content(message: WSMessageNoDecodeText, limits: WebLimits) -> bytes:
    data: bytes = message.data
    if message.type is WSMsgType.BINARY:
        data = unpack(data, limits.max_inflated_bytes)
    if not data:
        raise BadHit("an empty frame", "form")
    return data


@dataclass(slots=True)
class Frame:
    """One frame on its way to the disk."""

    seq: int
    done: Sorted
    storing: asyncio.Task[CannotStore | None] | None
    reason: str = ""
    """Why the frame as a whole was refused."""


class Socket:
    """One open socket: frames are read while earlier ones are being stored, answers keep their order."""

    def __init__(
        self,
        response: "web.WebSocketResponse[Literal[False]]",
        connection: Connection,
        envelope: Envelope,
        parts: SocketParts,
        *,
        is_acking: bool,
        is_new: bool,
    ) -> None:
        self._response = response
        self._connection = connection
        self._envelope = envelope
        self._parts = parts
        self._counts = parts.counts
        self._idle_seconds = parts.limits.websocket_idle_seconds or None
        self._is_acking = is_acking
        self._is_new = is_new
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue(IN_FLIGHT)
        self._deadline: asyncio.Timeout | None = None
        self._farewell = (WSCloseCode.OK, b"")
        self._is_stopped = False

    def stop(self) -> None:
        """Read no more; what was taken is still stored and acknowledged."""
        self._is_stopped = True
        self._farewell = (WSCloseCode.GOING_AWAY, b"shutting down")
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Serve until either side closes."""
        acknowledging = asyncio.create_task(self._acknowledge())
        try:
            await self._read()
        finally:
            await self._frames.put(None)
            await acknowledging
        if not self._response.closed:
            code, message = self._farewell
            await self._response.close(code=code, message=message)

    async def fail(self) -> None:
        """Close after a bug of ours."""
        await self._response.close(code=WSCloseCode.INTERNAL_ERROR)

    async def _read(self) -> None:
        seq = 0
        while not self._is_stopped:
            message = await self._next()
            if message is None or message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            seq += 1
            frame = await self._take(seq, message)
            self._connection.took(len(message.data) + FRAMING_BYTES)
            await self._frames.put(frame)

    async def _next(self) -> WSMessageNoDecodeText | None:
        """The next message, or None when it is time to part."""
        try:
            async with asyncio.timeout(self._idle_seconds) as self._deadline:
                return await self._response.receive()
        except TimeoutError:
            if not self._is_stopped:
                self._farewell = (WSCloseCode.OK, b"idle")
            return None
        finally:
            self._deadline = None

    async def _take(self, seq: int, message: WSMessageNoDecodeText) -> Frame:
        try:
            done = await self._sorted(message)
        except BadHit as error:
            self._counts.rejected(error)
            return Frame(seq, _NO_EVENTS, None, error.reason)
        for _, refusal in done.rejected:
            self._counts.rejected(refusal)
        storing = asyncio.create_task(self._store(done)) if done.prepared else None
        return Frame(seq, done, storing)

    async def _sorted(self, message: WSMessageNoDecodeText) -> Sorted:
        """What a frame's events are. Raises BadHit when the frame as a whole is none."""
        is_packed = message.type is WSMsgType.BINARY
        size = inflated_bytes(message.data) if is_packed else len(message.data)
        if size <= LARGE_BYTES:
            return await self._worked_out(message)
        async with self._parts.intake.turn:
            return await self._worked_out(message)

    async def _worked_out(self, message: WSMessageNoDecodeText) -> Sorted:
        limits = self._parts.limits
        try:
            events = told_apart(_content(message, limits), limits)
        except BadHit:
            self._counts.received.inc()
            raise
        many = events if isinstance(events, Many) else Many(items=(events,))
        self._counts.received.inc(len(many))
        done = await self._parts.intake.many(self._envelope, many, is_new=self._is_new)
        if done.visitor is not None:
            self._is_new = False
            self._envelope = of_visitor(self._envelope, done.visitor)
        return done

    async def _store(self, done: Sorted) -> CannotStore | None:
        try:
            await self._parts.pipeline.store(done.prepared, self._counts.route)
        except CannotStore as error:
            if not self._is_acking:
                self._counts.unpromised.inc(len(done.prepared))
            return error
        return None

    async def _acknowledge(self) -> None:
        while (frame := await self._frames.get()) is not None:
            try:
                trouble = await frame.storing if frame.storing else None
            except Exception:  # a bug in storing must not end the stream of the others
                _log.exception("frame failed", extra={"fields": {"route": "ws"}})
                trouble = CannotStore("internal error")
            if self._is_acking:
                await self._send(acknowledgement(frame, trouble))

    async def _send(self, answer: bytes) -> None:
        if self._response.closed:
            return
        try:
            await self._response.send_frame(answer, WSMsgType.TEXT)
        except ConnectionError:
            _log.debug("acknowledgement had no reader")


def acknowledgement(frame: Frame, trouble: CannotStore | None) -> bytes:
    """One JSON object: what became of a frame."""
    answer: dict[str, Any] = {"seq": frame.seq, "accepted": 0, "rejected": []}
    if trouble is not None:
        answer |= {"error": trouble.reason, "retry_after": trouble.retry_after_seconds}
    elif frame.reason:
        answer["rejected"] = [{"index": 0, "reason": frame.reason}]
    else:
        answer |= frame.done.answer()
    return orjson.dumps(answer)
