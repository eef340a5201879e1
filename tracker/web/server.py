"""The server that listens: connections, their limits, and its end; the routes are `front`'s."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from tracker.metrics import Metrics
from tracker.stopping import within
from tracker.web.connection import Connection
from tracker.web.doors import GuardedServer
from tracker.web.front import Web, make_app

__all__ = ["Serving", "Web", "make_app", "serve"]

LINGER_SECONDS = 2.0
"""How long the rest of a body is read and thrown away after its answer, so that the answer is not lost."""
BACKLOG = 1024
MOST_LINE_BYTES = 8190
"""Of the request line, and of each header."""
LEAVE_SECONDS = 0.25
"""How long clients may send their last request, once while listening and once after it."""
CUT_OFF_SECONDS = 0.1
"""How long a request that was cut off may take to end."""
LOOK_SECONDS = 0.01


class _HttpNoise(logging.Filter):
    """Counts malformed HTTP instead of logging a traceback and an address for each."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._malformed = metrics.requests.labels("malformed", "400")

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._malformed.inc()
            return False
        record.msg, record.args = "connection failed", ()
        return True


class _Requests:
    """Makes the requests that handlers get. Once `is_last` is set, each is answered as its connection's last,
    so that a client learns of the end from an answer and not from a request that nobody reads."""

    def __init__(self) -> None:
        self.is_last = False
        self._loop = asyncio.get_running_loop()

    def __call__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        if self.is_last:
            message = message._replace(should_close=True)
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop)


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that listens."""

    runner: web.ServerRunner
    listeners: tuple[socket.socket, ...]
    address: tuple[str, int]
    """Where it listens, the port also when any free one was asked for; the first of several."""
    app: Web
    requests: _Requests

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.address[1]

    async def stop(self, seconds: float = 5.0) -> None:
        """Accept no more, end sockets and requests within `seconds`, cut off what is left. Safe twice."""
        server = self.runner.server
        if server is not None:
            ending = asyncio.create_task(self.app.sockets.close())
            await self._take_leave(server, min(LEAVE_SECONDS, seconds / 4))
            await _end_all(server, ending, seconds - min(2 * LEAVE_SECONDS, seconds / 2))
            await self.runner.cleanup()
        await within(max(CUT_OFF_SECONDS, seconds / 4), self.app.close())

    async def _take_leave(self, server: web.Server, seconds: float) -> None:
        """Let clients that are about to send something do so: first while still listening, so that the time
        without a listener is short, then those whose connections came last."""
        self.requests.is_last = True
        await _until(lambda: not server.connections, seconds)
        for site in self.runner.sites:
            await site.stop()
        await _until(lambda: not _has_new(server), seconds)


def _has_new(server: web.Server) -> bool:
    return any(isinstance(one, Connection) and one.is_new for one in server.connections)


async def _until(is_so: Callable[[], bool], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not is_so() and loop.time() < deadline:  # noqa: ASYNC110 (aiohttp tells nobody of its connections)
        await asyncio.sleep(LOOK_SECONDS)


async def _end_all(server: web.Server, ending: "asyncio.Task[None]", seconds: float) -> None:
    """Close quiet connections, wait for requests and sockets, cut off those that take longer."""
    connections = server.connections
    server.pre_shutdown()
    shutdown = asyncio.create_task(server.shutdown(max(seconds, LOOK_SECONDS)))
    await asyncio.wait({ending, shutdown}, timeout=seconds)
    for connection in connections:
        if isinstance(connection, Connection):
            connection.cut()  # closing would wait for a client that does not read
    await within(CUT_OFF_SECONDS, ending, shutdown)


async def serve(app: Web, listeners: Sequence[socket.socket], *, idle_seconds: float = 75.0) -> Serving:
    """Serve on these bound sockets, which are the server's from now on. Raises OSError.

    A connection without a request is closed after `idle_seconds`.
    """
    requests = _Requests()
    line_bytes = min(MOST_LINE_BYTES, app.most_head_bytes)
    server = GuardedServer(
        app.handle,
        app.doors,
        request_factory=requests,
        access_log=None,
        logger=_logger(app.metrics),
        auto_decompress=False,
        keepalive_timeout=idle_seconds,
        lingering_time=LINGER_SECONDS,
        max_line_size=line_bytes,
        max_field_size=line_bytes,
    )
    runner = web.ServerRunner(server, shutdown_timeout=CUT_OFF_SECONDS)
    await runner.setup()
    address = listeners[0].getsockname()[:2]
    try:
        for listener in listeners:
            await web.SockSite(runner, listener, backlog=BACKLOG).start()
    except OSError:
        await runner.cleanup()
        await app.close()
        raise
    app.doors.start()
    return Serving(runner, tuple(listeners), address, app, requests)


def _logger(metrics: Metrics) -> logging.Logger:
    """A logger of this server's own, so that its filter ends with it."""
    logger = logging.Logger("tracker.web.http")
    logger.parent = logging.getLogger("tracker.web")
    logger.addFilter(_HttpNoise(metrics))
    return logger
