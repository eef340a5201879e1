"""The control socket's commands as one function of bytes: a line that names the route, then the body.

The spool behind it is a real one, the store and the recorder answer nothing.
"""

import asyncio
import tempfile
from functools import cache
from pathlib import Path
from unittest.mock import AsyncMock

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry

from tests.support.spools import open_spool
from tests.unit.steps.build import NOW, PIPELINE
from tracker.batching.tools import SpoolTools
from tracker.metrics import Metrics
from tracker.web.control import ControlServices, _errors_as_json, make_control


def command(data: bytes) -> None:
    """One command; its answer is never a failure of the server's."""
    _loop().run_until_complete(_command(data))


async def _command(data: bytes) -> None:
    head, _, body = data.partition(b"\n")
    method, _, target = head.decode("latin-1").partition(" ")
    path = "/" + "".join(char for char in target if "!" <= char <= "~").lstrip("/")
    request = make_mocked_request(
        "GET" if method == "GET" else "POST", path, app=_app(), payload=_payload(body)
    )
    resolved = await _app().router.resolve(request)
    request._match_info = resolved
    resolved.add_app(_app())
    response = await _errors_as_json(request, resolved.handler)
    assert response.status in (200, 400, 404, 405, 409, 413, 503), response.status


def _payload(body: bytes) -> StreamReader:
    reader = StreamReader(BaseProtocol(_loop()), 2**16, loop=_loop())
    reader.feed_data(body)
    reader.feed_eof()
    return reader


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@cache
def _app() -> web.Application:
    spool = open_spool(Path(tempfile.mkdtemp(prefix="tracker-fuzz-")), "a")
    app = make_control(
        ControlServices(
            questions={},
            recorder=PIPELINE,
            spool=SpoolTools(spool, lambda: NOW),
            status=AsyncMock(return_value={}),
            metrics=Metrics(CollectorRegistry(), "test"),
            clock=lambda: NOW,
            max_line_bytes=10_000,
            max_depth=64,
            patience_seconds=0,
        )
    )
    app.freeze()
    return app
