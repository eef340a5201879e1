"""The asking side of the control socket: requests in, JSON or an exception out. Knows no command."""

import errno
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tracker.errors import TrackerError

HOST = "http://tracker"
CONNECT_SECONDS = 5.0


class NotRunning(TrackerError):
    """Nobody listens on the control socket: open the files instead, or tell the person."""


class Refused(TrackerError):
    """The server said no; the message is its reason, `told` its whole answer."""

    def __init__(self, reason: str, told: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.told = told


class ControlClient:
    """One server's control socket. Every method raises NotRunning or Refused."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """Read something."""
        return await self._ask("GET", path, params=params)

    async def post(
        self, path: str, command: Mapping[str, Any], timeout_seconds: float | None = None
    ) -> dict[str, Any]:
        """Have something done; None waits for as long as it takes."""
        return await self._ask(
            "POST", path, body=json.dumps(command).encode(), timeout_seconds=timeout_seconds
        )

    async def upload(self, path: str, chunks: AsyncIterator[bytes], **params: str) -> dict[str, Any]:
        """Stream bytes, never more than a chunk in memory."""
        return await self._ask("POST", path, params=params, body=chunks)

    async def stream(
        self, path: str, command: Mapping[str, Any] | None = None, **params: str
    ) -> AsyncGenerator[bytes | dict[str, Any], None]:
        """Whole lines as they come, in the memory of one line and a piece; the last item has the counts."""
        last = b""
        body = None if command is None else json.dumps(command).encode()
        async with self._asked("GET" if body is None else "POST", path, params, body) as response:
            if response.status >= 400:
                _told(response.status, await response.read())
            async for piece in response.content.iter_any():
                last += piece
                end = last.rfind(b"\n", 0, len(last) - 1) + 1  # the last line of all is for us
                if end:
                    yield last[:end]
                    last = last[end:]
        yield _end_of(last)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: bytes | AsyncIterator[bytes] | None = None,
        timeout_seconds: float | None = None,
    ) -> dict[str, Any]:
        async with self._asked(method, path, params, body, timeout_seconds) as response:
            return _told(response.status, await response.read())

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: bytes | AsyncIterator[bytes] | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_SECONDS)
        connector = aiohttp.UnixConnector(str(self._socket))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, HOST + path, params=params, data=body) as response,
            ):
                yield response
        except aiohttp.ClientConnectorError as failure:
            raise self._unreachable(failure.os_error) from failure
        except (aiohttp.ClientError, TimeoutError) as failure:
            text = str(failure) or type(failure).__name__
            raise Refused(f"the server broke off: {text}", {}) from failure

    def _unreachable(self, failure: OSError) -> TrackerError:
        if failure.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
            return NotRunning(f"no server runs at {self._socket}")
        # There is a server, but not for us: opening its files behind its back would be wrong.
        return Refused(f"cannot reach the server at {self._socket}: {failure.strerror}", {})


def _end_of(line: bytes) -> dict[str, Any]:
    """The counts in a stream's last line. Raises Refused when the stream is not whole."""
    try:
        told = json.loads(line)
    except ValueError as failure:
        raise Refused("the server broke off", {}) from failure
    if not isinstance(told, dict) or not told.keys() & {"end", "error"}:
        raise Refused("the server broke off", {})
    if "error" in told:
        raise Refused(f"the server stopped: {told['error']}", told)
    return dict(told["end"])


def _told(status: int, body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)  # integers of any size stay exact
    except ValueError as failure:
        raise Refused(f"the server answered {status} with something that is no JSON", {}) from failure
    if status >= 400:
        raise Refused(str(told.get("error", f"status {status}")), told)
    return dict(told)
