"""The server that listens: connections, their limits, and its end; the routes are `front`'s."""

import logging
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tracker.metrics import Metrics
from tracker.web.front import Web, make_app

__all__ = ["Serving", "Web", "make_app", "serve"]

LINGER_SECONDS = 2.0
"""How long the rest of a body is read and thrown away after its answer, so that the answer is not lost."""
BACKLOG = 1024


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


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that listens."""

    runner: web.ServerRunner
    site: web.TCPSite
    app: Web

    @property
    def port(self) -> int:
        """The port it listens on, also when any free one was asked for."""
        return self.site.port

    async def stop(self) -> None:
        """Accept no more, finish sockets and requests in bounded time, let go of everything. Safe twice."""
        if self.site in self.runner.sites:
            await self.site.stop()
        await self.app.sockets.close()
        await self.runner.cleanup()
        await self.app.close()


async def serve(
    app: Web,
    host: str,
    port: int,
    *,
    shutdown_seconds: float = 5.0,
    idle_seconds: float = 75.0,
    reuse_port: bool = False,
) -> Serving:
    """Listen on `host` ('' is every interface) and `port` (0 is any free one). Raises OSError.

    A connection without a request is closed after `idle_seconds`.
    """
    server = web.Server(
        app.handle,
        access_log=None,
        logger=_logger(app.metrics),
        auto_decompress=False,
        keepalive_timeout=idle_seconds,
        lingering_time=LINGER_SECONDS,
    )
    runner = web.ServerRunner(server, shutdown_timeout=shutdown_seconds)
    await runner.setup()
    site = web.TCPSite(runner, host or None, port, backlog=BACKLOG, reuse_port=reuse_port or None)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        await app.close()
        raise
    return Serving(runner, site, app)


def _logger(metrics: Metrics) -> logging.Logger:
    """A logger of this server's own, so that its filter ends with it."""
    logger = logging.Logger("tracker.web.http")
    logger.parent = logging.getLogger("tracker.web")
    logger.addFilter(_HttpNoise(metrics))
    return logger
