"""Answers written in one piece: a head made beforehand, a body, nothing computed twice.

aiohttp builds, sorts and serialises a header map for each response, which costs as much as everything else
on the way of a small event; here the head is bytes. What an answer should say is decided elsewhere.
"""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

JSON = b"Content-Type: application/json\r\n"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
NO_STORE = b"Cache-Control: no-store\r\n"
PIXEL = bytes.fromhex("47494638396101000100800000ffffff0000002c00000000010001000002024401003b")
_PIXEL_HEAD = (
    b"Content-Type: image/gif\r\nTiming-Allow-Origin: *\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
)
_SERVER = b"Server: tracker\r\n"


def header_lines(*headers: tuple[str, str]) -> bytes:
    """Header lines as they go over the wire. A line break in a value would forge a header: ValueError."""
    for name, value in headers:
        if not value.isprintable():
            raise ValueError(f"header {name}: control character in the value")
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in headers)


@lru_cache(maxsize=2)
def _date_line(second: int) -> bytes:
    return b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n"


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


def closing_answer(status: int, reason: str, head: bytes = b"") -> bytes:
    """A whole answer to what was no request; the connection ends with it."""
    length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(reason.encode())
    date = _date_line(int(time.time()))
    return b"".join((_status_line(status), TEXT, NO_STORE, head, _SERVER, date, length, reason.encode()))


class Answer(web.StreamResponse):
    """A whole response: `head` is header lines (each ended by CRLF) beside length, date and connection."""

    def __init__(self, status: int, head: bytes, body: bytes = b"") -> None:
        # No super().__init__(): it makes the header map that this class exists to do without. aiohttp's
        # server asks a response for nothing but the members below.
        self._code = status
        self.head = head
        self.payload = body
        self._stays_open = False

    @property
    def status(self) -> int:
        """The status code."""
        return self._code

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on; known once the answer is written."""
        return self._stays_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything. Raises ConnectionResetError when nobody is there any more."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._stays_open = request.keep_alive
        transport.write(self._bytes_for(request))
        await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write after `prepare`."""

    def _bytes_for(self, request: web.BaseRequest) -> bytes:
        body = self.payload
        parts = (
            _status_line(self._code),
            self.head,
            _SERVER,
            _date_line(int(time.time())),
            self._connection_line(request),
            b"Content-Length: %d\r\n\r\n" % len(body),
            b"" if request.method == "HEAD" else body,
        )
        return b"".join(parts)

    def _connection_line(self, request: web.BaseRequest) -> bytes:
        if not self._stays_open:
            return b"Connection: close\r\n"
        return b"" if request.version.minor else b"Connection: keep-alive\r\n"


def text_answer(status: int, reason: str, head: bytes = b"") -> Answer:
    """A reason in plain words."""
    return Answer(status, TEXT + NO_STORE + head, reason.encode(errors="replace"))


def json_answer(status: int, value: Any, head: bytes = b"") -> Answer:
    """Any JSON value; keys that are no text become text, non-JSON values become their text."""
    body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Answer(status, JSON + NO_STORE + head, body)


def pixel_answer(head: bytes = b"") -> Answer:
    """The 35 bytes of a transparent GIF, never cached, readable across sites."""
    return Answer(200, _PIXEL_HEAD + NO_STORE + head, PIXEL)


def try_again_answer(reason: str, seconds: int, head: bytes = b"") -> Answer:
    """503: not now, in so many seconds."""
    return text_answer(503, reason, head + b"Retry-After: %d\r\n" % seconds)
