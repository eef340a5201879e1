"""Every part wired together: the one file that knows them all, and the order in which they start and stop.

When that happens, and how the process ends, is `process`'s business.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from tracker import __version__, clock
from tracker.batching.batcher import Batcher
from tracker.batching.delivery import Delivery
from tracker.batching.oldest import oldest_row
from tracker.batching.spool import Spool
from tracker.batching.tools import SpoolTools
from tracker.commands.local import open_spool
from tracker.config import Config, Service
from tracker.erasing import forgotten_of, procedure_of
from tracker.errors import ConfigError, InUse, TrackerError
from tracker.geo import GeoIP
from tracker.health import CollectorHealth
from tracker.lookups import Lookups, saving
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline
from tracker.protection import Safeguards
from tracker.records.account_book import AccountBook
from tracker.records.accounts import Accounts
from tracker.retaining import retention_of
from tracker.retention.schedule import repeat
from tracker.scrape import Scrape
from tracker.scrape.views import ProcessSources
from tracker.settings import (
    address_databases,
    asked_store,
    batch_settings,
    pipeline_settings,
    sink_settings,
    web_settings,
)
from tracker.sinks.backup import Stream, snapshot_of, stream
from tracker.sinks.base import Store
from tracker.sinks.registry import as_store, make_sink
from tracker.stopping import Stopping
from tracker.tables.persons import Person
from tracker.web.control import ControlServices, make_control
from tracker.web.control_socket import ControlSocket
from tracker.web.credentials import Credentials
from tracker.web.handover import Estate, Offer, Predecessor
from tracker.web.listeners import bind
from tracker.web.server import Serving, make_app, serve
from tracker.web.services import WebServices

LOCK_SECONDS = 0.02
"""How often the spool is asked for while the process before still has it."""
BATCHES_IN_MEMORY = 8
"""One batch may take this part of Spool.MaxMemoryBytes."""


@dataclass(frozen=True, slots=True)
class Heritage:
    """What a new process has from outside."""

    listeners: Sequence[socket.socket] = ()
    """Sockets that listen already; none of them: the configuration says where."""
    predecessor: Predecessor | None = None
    """The server that ran before and has been told to stop."""


class Collector:
    """Every part of one running server. Make it by `start`, on the event loop that serves."""

    def __init__(self, config: Config, spool: Spool, heritage: Heritage) -> None:
        self.config = config
        self.metrics = Metrics(CollectorRegistry(), __version__)
        self.spool = spool
        self.batcher = Batcher(
            spool, max_memory_bytes=config.spool.max_memory_bytes, clock=clock.now, metrics=self.metrics
        )
        self.sinks = {service.name: make_sink(sink_settings(config, service)) for service in config.sinks}
        self.deliveries = [self._delivery(service) for service in config.sinks]
        self.geoip = GeoIP(address_databases(config), self.metrics)
        asked = asked_store(config)
        self.lookups = Lookups(
            self._stores(),
            asked.name if asked else "",
            spool,
            self.batcher.read,
            is_divided=bool(config.privacy.residency),
        )
        self.safeguards = Safeguards(config, self.lookups.consents, clock.now)
        self.forgotten = forgotten_of(config)
        self.persons = procedure_of(
            config, spool, self.sinks, self.forgotten, self.batcher.call, self.batcher.read, self._erased
        )
        self._erasing: asyncio.Task[None] | None = None
        self.pipeline = Pipeline(
            self.batcher,
            replace(pipeline_settings(config), ip_hash_key=self.safeguards.ip_key),
            self.metrics,
            geo=self.geoip.place,
            protection=self.safeguards.protection,
            forgotten=self.forgotten,
        )
        self.health = CollectorHealth(self.batcher, self.deliveries, clock.now)
        self.scrape = Scrape(self.metrics, ProcessSources(self.batcher, self.deliveries), clock.now)
        save_account = saving(self.lookups.accounts, self.pipeline)
        self.account_book = AccountBook(self.lookups.accounts, save_account, clock.now)
        self.accounts = Accounts(self.lookups.accounts, self.account_book.renew, clock.now)
        self.services = WebServices(
            credentials=Credentials(
                self.accounts, config.trusted_proxies, may_be_in_path=config.admin.password_in_path
            ),
            links=self.lookups.links,
            link_history=self.lookups.link_history,
            consents=self.lookups.consents,
            jurisdictions=self.lookups.jurisdictions,
            orgs=self.lookups.orgs,
            places=self.geoip,
            persons=self.persons,
        )
        self.retention = retention_of(config, self.sinks, self._oldest_waiting, self.metrics)
        self._pruning: asyncio.Task[None] | None = None
        is_replacing = heritage.predecessor is not None
        services = make_control(self._services())
        self.control = ControlSocket(config.admin.socket, services, is_replacing=is_replacing)
        self.serving: Serving | None = None
        self.offer: Offer | None = None
        self._heritage = heritage

    @classmethod
    async def start(cls, config: Config, heritage: Heritage, step_down: Callable[[], None]) -> "Collector":
        """Open the spool, take up what it holds, listen; `step_down` is called when a new process takes over.

        Raises TrackerError or OSError, and nothing runs.
        """
        collector = cls(config, await _open_spool(config, heritage.predecessor), heritage)
        try:
            await collector._start(step_down)
        except BaseException:
            await collector.stop(deliver=False)
            raise
        return collector

    async def _start(self, step_down: Callable[[], None]) -> None:
        await self.batcher.call(self.spool.attach_sinks, list(self.sinks))
        await self.geoip.start()
        self.safeguards.start()
        await self.persons.start()
        await self.lookups.start()
        predecessor = self._heritage.predecessor
        if predecessor is not None:
            # Clients wait already; a store is free only once the process that wrote to it has ended.
            await self._serve()
            await predecessor.ended()
        await self._open_critical()
        for delivery in self.deliveries:
            self.batcher.on_arrival(delivery.notice)
            await delivery.start()
        await asyncio.sleep(0)  # the stores are being opened from here on, and questions wait for them
        await self.control.start()
        self._erasing = asyncio.create_task(self.persons.run(), name="erase")
        if self.config.privacy.prune_every is not None:
            pruning = repeat(self.config.privacy.prune_every, self.retention.run, random.random)
            self._pruning = asyncio.create_task(pruning, name="prune")
        if self.serving is None:
            await self._serve()
        self._make_offer(step_down)

    async def _serve(self) -> None:
        app = make_app(
            web_settings(self.config),
            self.pipeline,
            self.health,
            self.metrics,
            self.scrape,
            clock.now,
            self.services,
        )
        listeners = self._heritage.listeners or bind(*_address(self.config))
        self.serving = await serve(app, listeners, idle_seconds=self.config.idle_timeout_seconds)

    def _make_offer(self, step_down: Callable[[], None]) -> None:
        if self.serving is None:
            raise RuntimeError("only a server that listens can be taken over")
        grace_seconds = self.config.shutdown.grace_seconds
        estate = Estate(str(self.config.listen or ""), grace_seconds, self.serving.listeners)
        self.offer = Offer(self.config.admin.socket, estate, step_down)
        self.offer.start()

    async def stop(self, *, deliver: bool = True) -> bool:
        """Accept no more, end requests, deliver for a bounded time, let go; the rest waits in the spool.

        All of it within Shutdown.GraceSeconds, PreStop apart. True when every part came to its end. Without
        `deliver` everything waits for the next process, which is to come as soon as possible.
        """
        self.health.is_stopping = True
        if self.offer is not None:
            self.offer.withdraw()
        if self.serving is not None and deliver:
            await asyncio.sleep(self.config.shutdown.pre_stop_seconds)
        stopping = Stopping(self.config.shutdown.grace_seconds, asyncio.get_running_loop().time)
        await self._end_requests(stopping)
        if deliver:
            await self._deliver(stopping)
        await self._let_go(stopping)
        return not stopping.late

    async def _end_requests(self, stopping: Stopping) -> None:
        until = stopping.budget.requests
        if self.serving is not None:
            await self.serving.stop(stopping.left(until))
        await stopping.part("events that nobody waits for", until, self.pipeline.close())
        await stopping.part("pruning", until, self._end_pruning())
        await stopping.part("erasing", until, self._end_erasing())
        await stopping.part("current rows", until, self.lookups.close())
        self.accounts.close()

    async def _deliver(self, stopping: Stopping) -> None:
        seconds = stopping.left(stopping.budget.delivery)
        drains = (delivery.drain(seconds) for delivery in self.deliveries)
        await stopping.part("delivery", stopping.budget.stores, *drains)

    async def _let_go(self, stopping: Stopping) -> None:
        """Close all side by side: what is slow to close must keep neither the spool from being closed nor the
        next process from accepting."""
        budget = stopping.budget
        stores = (delivery.stop() for delivery in self.deliveries)
        await asyncio.gather(
            stopping.part("control socket", budget.stores, self.control.stop()),
            stopping.part("stores", budget.stores, *stores),
            stopping.part("spool", budget.spool, self.batcher.close()),
            stopping.part("address databases", budget.stores, self.geoip.stop()),
            stopping.part("keys", budget.stores, self.safeguards.stop()),
        )
        if self.offer is not None:
            self.offer.close()

    def _delivery(self, service: Service) -> Delivery:
        return Delivery(
            self.sinks[service.name],
            self.batcher.queue(service.name),
            partial(batch_settings, self.config, sink=service),
            metrics=self.metrics,
            clock=clock.now,
            random=random.random,
            write_timeout_seconds=service.write_timeout_seconds,
            max_batch_bytes=self.config.spool.max_memory_bytes // BATCHES_IN_MEMORY,
        )

    async def _open_critical(self) -> None:
        for service in self.config.sinks:
            if service.critical:
                await self.sinks[service.name].open()

    def _release(self, sink: str, table: str) -> bool:
        for delivery in self.deliveries:
            if delivery.sink.name == sink:
                return delivery.release(table)
        raise TrackerError(f"there is no sink {sink!r}; there are {', '.join(self.sinks)}")

    def _stores(self) -> Mapping[str, Store]:
        """The sinks that can answer questions."""
        return {name: store for name, sink in self.sinks.items() if (store := as_store(sink))}

    def _services(self) -> ControlServices:
        return ControlServices(
            questions=self._stores(),
            recorder=self.pipeline,
            spool=SpoolTools(
                self.spool, clock.now, self.batcher.call, self.batcher.read, self.batcher.replay
            ),
            status=self._status,
            metrics=self.metrics,
            clock=clock.now,
            max_line_bytes=self.config.limits.max_body_bytes,
            max_depth=self.config.limits.max_depth,
            release=self._release,
            backup=self._backup,
            accounts=self.account_book,
            persons=self.persons,
            prune=self._prune,
        )

    async def _prune(self, logs_only: bool, is_dry: bool) -> dict[str, Any]:
        return await self.retention.run(logs_only=logs_only, is_dry=is_dry)

    async def _end_pruning(self) -> None:
        """Stop between two steps, or in one; what is left is the next run's."""
        if self._pruning is not None:
            self._pruning.cancel()
            await asyncio.wait({self._pruning})
        await self.retention.stop()

    def _erased(self, person: Person) -> None:
        for visitor in person.visitors | person.known:
            self.lookups.consents.forget(visitor)

    async def _end_erasing(self) -> None:
        """Stop between two steps; the next start goes on with what is open."""
        if self._erasing is not None:
            self._erasing.cancel()
            await asyncio.wait({self._erasing})
        await self.persons.close()

    async def _oldest_waiting(self) -> float | None:
        return await self.batcher.read(self.spool.ask, oldest_row)

    def _backup(self, store: str) -> Stream:
        for service in self.config.sinks:
            if service.name == store:
                settings = sink_settings(self.config, service)
                return stream(snapshot_of(settings, self.sinks[store]), settings)
        raise TrackerError(f"there is no store {store!r}; there are {', '.join(self.sinks)}")

    async def _status(self) -> dict[str, Any]:
        return {**await self.scrape.as_json(), "health": self.health.health()}


def _address(config: Config) -> tuple[str, int]:
    if config.listen is None:
        raise ConfigError("ProxyExceptHTTP: nothing listens without it")
    return config.listen.host or "", config.listen.port


async def _open_spool(config: Config, predecessor: Predecessor | None) -> Spool:
    """Open the spool, as soon as a process that was told to stop has let go of it.

    On a thread of its own, so that a signal is heard meanwhile: reading a damaged file takes long.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (predecessor.patience_seconds if predecessor else 0.0)
    thread = ThreadPoolExecutor(1, "spool-opener")
    try:
        while True:
            try:
                return await loop.run_in_executor(thread, open_spool, config)
            except InUse:
                if loop.time() >= deadline:
                    raise
            await asyncio.sleep(LOCK_SECONDS)
    finally:
        thread.shutdown(wait=False)
