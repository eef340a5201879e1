"""A request's body: read within its bound, inflated, and told apart into one event or many.

What an event means is the pipeline's business; JSON itself is `steps.json_input`'s.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tracker.errors import BadHit, TooLarge
from tracker.events import Values
from tracker.steps.json_input import loads
from tracker.web.connection import connection_of
from tracker.web.inflate import decode_body
from tracker.web.settings import WebLimits

MOST_VALUES = 1_000_000
"""Of one body: as objects they take some hundred bytes each."""
INFLATE_ON_LOOP_BYTES = 256 * 1024
"""Sent or inflated, up to here it is quicker than handing it to a thread."""
NOT_AN_OBJECT = "expected a JSON object"


class TooSlow(BadHit):
    """Answer 408: the body did not come in time."""


@dataclass(frozen=True, slots=True)
class Many:
    """Several events of one body: parsed items of an array, or lines not parsed yet."""

    items: Sequence[Any] = ()
    lines: Sequence[bytes] = ()

    def __len__(self) -> int:
        return len(self.items) or len(self.lines)

    def each(self, max_depth: int) -> Iterator[Values | BadHit]:
        """Each event's values in order, or why it is none."""
        for item in self.items:
            yield item if isinstance(item, dict) else BadHit(NOT_AN_OBJECT, "form")
        for line in self.lines:
            yield _line_values(line, max_depth)


def _line_values(line: bytes, max_depth: int) -> Values | BadHit:
    try:
        value = loads(line, max_depth)
    except BadHit as error:
        return error
    return value if isinstance(value, dict) else BadHit(NOT_AN_OBJECT, "form")


def told_apart(data: bytes, limits: WebLimits) -> Values | Many:
    """One JSON document, else lines; the form is recognised by content alone.

    An empty body is the empty object. Raises BadHit, or TooLarge for more events than allowed.
    """
    if not data:
        return {}
    refuse_countless_values(data)
    lines = _lines_when_first_is_whole(data, limits.max_depth)
    if lines is None:
        try:
            return _document(loads(data, limits.max_depth), limits)
        except TooLarge:
            raise
        except BadHit:
            lines = _nonblank_lines(data)
            if len(lines) < 2:
                if data.isspace():
                    return {}
                raise
    return Many(lines=_bounded(lines, limits))


def refuse_countless_values(data: bytes) -> None:
    """Judged before anything is made of them: there are at most as many as commas and opening brackets.

    Raises TooLarge.
    """
    if len(data) <= MOST_VALUES:
        return
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_VALUES:
        raise TooLarge(f"more than {MOST_VALUES} values in one body", "too_many")


def _lines_when_first_is_whole(data: bytes, max_depth: int) -> list[bytes] | None:
    """The lines, when the first one is a document of its own: then the body as a whole cannot be one."""
    end = data.find(b"\n")
    if end < 0:
        return None
    lines = _nonblank_lines(data)
    if len(lines) < 2:
        return None
    first = _line_values(lines[0], max_depth)
    return None if isinstance(first, BadHit) else lines


def _nonblank_lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line and not line.isspace()]


def _document(value: Any, limits: WebLimits) -> Values | Many:
    if isinstance(value, list):
        return Many(items=_bounded(value, limits))
    if not isinstance(value, dict):
        raise BadHit(NOT_AN_OBJECT, "form")
    events = value.get("events")
    if len(value) == 1 and isinstance(events, list):
        return Many(items=_bounded(events, limits))
    return value


def _bounded(events: list[Any], limits: WebLimits) -> list[Any]:
    if len(events) > limits.max_events:
        raise TooLarge(f"more than {limits.max_events} events in one request", "too_many")
    return events


class BodyReader:
    """Reads bodies within the limits; large ones are inflated by `executor`, off the event loop."""

    def __init__(self, limits: WebLimits, executor: Executor) -> None:
        self._limits = limits
        self._executor = executor

    def at_hand(self, request: web.BaseRequest) -> bytes | None:
        """The body if it came together with its headers and needs no inflating, else None: see `read`."""
        content = request.content
        if not content.is_eof() or content.exception() or "Content-Encoding" in request.headers:
            return None
        data = content.read_nowait()
        if len(data) > self._limits.max_body_bytes:
            raise self._too_large()
        return data

    def decoded(self, request: web.BaseRequest, data: bytes) -> bytes | None:
        """A body without its Content-Encoding, None when it is too large for the event loop: see `inflated`.

        Raises BadHit, TooLarge, UnknownEncoding.
        """
        encoding = request.headers.get("Content-Encoding")
        if not encoding or not data:
            return data
        if len(data) > INFLATE_ON_LOOP_BYTES:
            return None
        limit = self._limits.max_inflated_bytes
        try:
            return decode_body(data, encoding, min(limit, INFLATE_ON_LOOP_BYTES))
        except TooLarge:
            if limit <= INFLATE_ON_LOOP_BYTES:
                raise
            return None

    async def inflated(self, request: web.BaseRequest, data: bytes) -> bytes:
        """The same for a large one, off the event loop."""
        encoding, limit = request.headers["Content-Encoding"], self._limits.max_inflated_bytes
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, decode_body, data, encoding, limit)

    async def read(self, request: web.BaseRequest) -> bytes:
        """The body as sent. Raises BadHit, TooLarge, TooSlow; CannotStore when others need the room."""
        limit = self._limits.max_body_bytes
        if (request.content_length or 0) > limit:
            raise self._too_large()
        _ask_for_body(request)
        data, connection = bytearray(), connection_of(request)
        try:
            async with asyncio.timeout(self._limits.body_seconds or None) as deadline:
                connection.reads_until(deadline)
                async for piece in request.content.iter_any():
                    data += piece
                    if len(data) > limit:
                        raise self._too_large()
        except TimeoutError as error:
            if connection.trouble is not None:
                raise connection.trouble from error
            raise TooSlow(f"the body took longer than {self._limits.body_seconds:g} s", "slow") from error
        except (HttpProcessingError, web.RequestPayloadError) as error:
            raise BadHit("the body is not framed as HTTP asks", "framing") from error
        finally:
            connection.reads_until(None)
        return bytes(data)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body has more than {self._limits.max_body_bytes} bytes")


def _ask_for_body(request: web.BaseRequest) -> None:
    """Tell a client that waits for it (`Expect: 100-continue`) to go on."""
    transport = request.transport
    if transport is not None and request.headers.get("Expect", "").lower() == "100-continue":
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
