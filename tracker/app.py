"""Every part wired together: the one file that knows them all, and the order in which they start and stop."""

import asyncio
import logging
import os
import random
import signal
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from tracker import __version__, clock, logs
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.spool import Spool
from tracker.batching.tools import SpoolTools
from tracker.commands.local import open_spool
from tracker.config import Config, Listen, Service
from tracker.errors import ConfigError, TrackerError
from tracker.health import CollectorHealth
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline
from tracker.scrape import Scrape
from tracker.scrape.views import ProcessSources
from tracker.settings import batch_settings, pipeline_settings, sink_settings, web_settings
from tracker.sinks.registry import as_store, make_sink
from tracker.tuning import tune
from tracker.web.control import ControlServices, make_control
from tracker.web.control_socket import ControlSocket
from tracker.web.server import Serving, make_app, serve

log = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED = 0, 1
WRITE_TIMEOUT_SECONDS = 60.0
LAST_SECONDS = 3.0
"""How long the process may take to end once everything has stopped."""
BATCHES_IN_MEMORY = 8
"""One batch may take this part of Spool.MaxMemoryBytes."""


class Collector:
    """Every part of one running server. Make it by `start`, on the event loop that serves."""

    def __init__(self, config: Config, spool: Spool) -> None:
        self.config = config
        self.metrics = Metrics(CollectorRegistry(), __version__)
        self.spool = spool
        self.batcher = Batcher(
            spool, max_memory_bytes=config.spool.max_memory_bytes, clock=clock.now, metrics=self.metrics
        )
        self.sinks = {service.name: make_sink(sink_settings(config, service)) for service in config.sinks}
        self.deliveries = [self._delivery(service) for service in config.sinks]
        self.pipeline = Pipeline(self.batcher, pipeline_settings(config), self.metrics)
        self.health = CollectorHealth(self.batcher, self.deliveries, clock.now)
        self.scrape = Scrape(self.metrics, ProcessSources(self.batcher, self.deliveries), clock.now)
        self.control = ControlSocket(config.admin.socket, make_control(self._services()))
        self.serving: Serving | None = None

    @classmethod
    async def start(cls, config: Config) -> "Collector":
        """Open the spool, take up what it holds, listen. Raises TrackerError or OSError, and nothing runs."""
        spool = open_spool(config)
        collector = cls(config, spool)
        try:
            await collector._start()
        except BaseException:
            await collector.stop()
            raise
        return collector

    async def _start(self) -> None:
        await self.batcher.call(self.spool.attach_sinks, list(self.sinks))
        await self._open_critical()
        for delivery in self.deliveries:
            self.batcher.on_arrival(delivery.notice)
            await delivery.start()
        await asyncio.sleep(0)  # the stores are being opened from here on, and questions wait for them
        await self.control.start()
        app = make_app(
            web_settings(self.config), self.pipeline, self.health, self.metrics, self.scrape, clock.now
        )
        listen = _listen(self.config)
        self.serving = await serve(
            app,
            listen.host or "",
            listen.port,
            shutdown_seconds=self.config.shutdown.grace_seconds,
            idle_seconds=self.config.idle_timeout_seconds,
        )

    async def stop(self) -> None:
        """Accept no more, end requests, deliver for a bounded time, let go; the rest waits in the spool."""
        self.health.is_stopping = True
        if self.serving is not None:
            await asyncio.sleep(self.config.shutdown.pre_stop_seconds)
            await self.serving.stop()
        await self.pipeline.close()
        grace = self.config.shutdown.grace_seconds
        await asyncio.gather(*(delivery.drain(grace) for delivery in self.deliveries))
        await self.control.stop()
        await asyncio.gather(*(delivery.stop() for delivery in self.deliveries))
        await self.batcher.close()

    def _delivery(self, service: Service) -> Delivery:
        return Delivery(
            self.sinks[service.name],
            self.batcher.queue(service.name),
            partial(batch_settings, self.config, sink=service),
            metrics=self.metrics,
            clock=clock.now,
            random=random.random,
            write_timeout_seconds=WRITE_TIMEOUT_SECONDS,
            max_batch_bytes=self.config.spool.max_memory_bytes // BATCHES_IN_MEMORY,
        )

    async def _open_critical(self) -> None:
        for service in self.config.sinks:
            if service.critical:
                await self.sinks[service.name].open()

    def _services(self) -> ControlServices:
        return ControlServices(
            questions=next(filter(None, map(as_store, self.sinks.values())), None),
            recorder=self.pipeline,
            spool=SpoolTools(
                self.spool, clock.now, self.batcher.call, self.batcher.read, self.batcher.replay
            ),
            status=self._status,
            metrics=self.metrics,
            clock=clock.now,
            max_line_bytes=self.config.limits.max_body_bytes,
            max_depth=self.config.limits.max_depth,
        )

    async def _status(self) -> dict[str, Any]:
        return {**await self.scrape.as_json(), "health": self.health.health()}


def _listen(config: Config) -> Listen:
    if config.listen is None:
        raise ConfigError("ProxyExceptHTTP: nothing listens without it")
    return config.listen


def run(config: Config, warnings: Sequence[str]) -> int:
    """Serve until a signal says stop; returns the exit code. Raises TrackerError when the start fails."""
    os.umask(0o077)  # what visitors did is nobody else's on this machine
    logs.configure(config.log.level, config.log.format)
    for warning in warnings:
        log.warning("configuration", extra={"fields": {"warning": warning}})
    tune()
    try:
        return uvloop.run(_serve(config))
    except OSError as error:
        raise TrackerError(f"the start failed: {error}") from error


async def _serve(config: Config) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stopping)
    collector = await Collector.start(config)
    _greet(collector)
    await stopping.wait()
    log.info("stopping")
    await collector.stop()
    log.info("stopped")
    _end_in_any_case()
    return EXIT_OK


def _end_in_any_case() -> None:
    """Everything is on disk; a driver's thread that never comes back must not keep the process alive."""
    watchdog = threading.Timer(LAST_SECONDS, os._exit, (EXIT_OK,))
    watchdog.daemon = True
    watchdog.start()


def _greet(collector: Collector) -> None:
    """Tell a person at the terminal where to send, where the data lies, and what to try."""
    if collector.serving is None:
        raise RuntimeError("only a server that listens can greet")
    config = collector.config
    host = _listen(config).host or "127.0.0.1"
    url = f"http://{f'[{host}]' if ':' in host else host}:{collector.serving.port}"
    stores = ", ".join(service.context for service in config.sinks) or "nowhere: no store is configured"
    if config.spool.durability == "memory":
        log.warning(
            "durability is memory: what is acknowledged does not survive a power cut or a killed machine"
        )
    route = f"{url}/tr/v{config.api_version}/tr/"
    lines = (
        f"tracker {__version__}",
        f"  send events to    {route}",
        f"  data lies in      {stores}",
        f"  what waits is in  {config.spool.path} ({config.spool.durability})",
        f"""  try               curl {route} --data '{{"vid": "user-123", "ename": "page_view"}}'""",
    )
    print("\n".join(lines), flush=True)


def _on_signal(stopping: asyncio.Event) -> None:
    if stopping.is_set():
        # The second signal: whatever was acknowledged is on disk, so there is nothing to wait for.
        os._exit(EXIT_FAILED)
    stopping.set()
