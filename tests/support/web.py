"""A real server on a free port of 127.0.0.1 with the real pipeline, upon a spooler that records."""

import asyncio
import contextlib
import ipaddress
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession
from prometheus_client import CollectorRegistry

from tracker import clock
from tracker.errors import CannotStore
from tracker.events import Entry
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.web.listeners import bind
from tracker.web.server import Serving, make_app, serve
from tracker.web.services import WebServices
from tracker.web.settings import Networks, WebSettings

LOOPBACK: Networks = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class RecordingSpooler:
    """Keeps entries in memory; fails or waits when told to."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.trouble: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def add(self, entries: Sequence[Entry]) -> int:
        await self.open.wait()
        if self.trouble is not None:
            raise self.trouble
        self.entries += entries
        return 0

    def fail(self, reason: str = "spool is full", seconds: int = 7) -> None:
        self.trouble = CannotStore(reason, seconds)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The rows of table events, in order."""
        rows = [row for entry in self.entries for row in entry.rows if row.table == "events"]
        return [json.loads(row.line) for row in rows]


class Source:
    """Health and metrics that a test can set."""

    def __init__(self) -> None:
        self.is_ready = True

    def ready(self, with_details: bool) -> tuple[bool, dict[str, Any]]:
        return self.is_ready, {"ready": self.is_ready, "reasons": [] if self.is_ready else ["draining"]}

    def health(self) -> dict[str, Any]:
        return {"status": "ok", "version": "0", "uptime": 1.5, "sinks": self.sinks(False)}

    def sinks(self, with_details: bool) -> dict[str, Any]:
        return {"duckdb": {"breaker": "closed", "with_details": with_details}}

    async def as_json(self) -> dict[str, Any]:
        return {"batching": {"enabled": True}}

    async def as_prometheus(self, accept: str) -> tuple[bytes, str]:
        return b"tracker_up 1\n", "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Front:
    """A running web front and what a test asks of it."""

    serving: Serving
    spooler: RecordingSpooler
    source: Source
    metrics: Metrics
    client: ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.serving.port}"

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.spooler.events

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def raw(self, data: bytes) -> bytes:
        """Send bytes over a fresh connection and read until the server closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.serving.port)
        writer.write(data)
        await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def until(self, events: int) -> list[dict[str, Any]]:
        """The stored events, once there are so many."""
        async with asyncio.timeout(5):
            while len(self.events) < events:  # noqa: ASYNC110  # the server gives no signal to wait for
                await asyncio.sleep(0.005)
        return self.events


@contextlib.asynccontextmanager
async def front(
    settings: WebSettings | None = None, services: WebServices | None = None
) -> AsyncIterator[Front]:
    """A front with these settings, ended in the right order."""
    metrics = Metrics(CollectorRegistry(), "test")
    spooler, source = RecordingSpooler(), Source()
    pipeline = Pipeline(spooler, PipelineSettings(), metrics)
    default = WebSettings(
        trusted_proxies=LOOPBACK, metrics_from=LOOPBACK, default_redirect="https://home.example/"
    )
    app = make_app(settings or default, pipeline, source, metrics, source, clock.now, services)
    serving = await serve(app, bind("127.0.0.1", 0))
    async with ClientSession() as client:
        try:
            yield Front(serving, spooler, source, metrics, client)
        finally:
            spooler.open.set()
            await client.close()  # quiet connections are given a moment for a last request
            await serving.stop(2)
            await pipeline.close()
