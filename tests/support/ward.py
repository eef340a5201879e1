"""One real spool with a sink that is told to misbehave and two healthy ones beside it, with short waits."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from tests.support.scripted_sink import Behaviour, ScriptedSink
from tests.unit.batching.rig import NOW, QUICK, numbered
from tracker.batching.batcher import Batcher
from tracker.batching.dead_letters import DeadFilter, DeadLetter
from tracker.batching.delivery import Delivery, DeliverySettings
from tracker.batching.spool import Spool
from tracker.events import Entry, Row
from tracker.health import CollectorHealth
from tracker.metrics import Metrics
from tracker.scrape import Scrape
from tracker.scrape.views import ProcessSources
from tracker.sinks.base import Sink

TABLES = ("events", "logs", "counters")


@dataclass
class Ward:
    """`async with` opens the spool and starts three deliveries; `sick` is the first."""

    sick: Sink = field(default_factory=lambda: ScriptedSink("sick", parallel=4))
    settings: DeliverySettings = QUICK
    write_timeout_seconds: float = 5.0
    healthy: tuple[ScriptedSink, ...] = field(
        default_factory=lambda: (ScriptedSink("well", parallel=2), ScriptedSink("fine"))
    )

    async def __aenter__(self) -> "Ward":
        self._folder = tempfile.TemporaryDirectory()
        sinks: Sequence[Sink] = (self.sick, *self.healthy)
        self.spool = Spool.open(Path(self._folder.name), durability="memory")
        self.spool.attach_sinks([sink.name for sink in sinks])
        self.metrics = Metrics(CollectorRegistry(), "test")
        self.batcher = Batcher(self.spool, max_memory_bytes=1 << 26, clock=time.time, metrics=self.metrics)
        self.deliveries = [self._delivery(sink) for sink in sinks]
        self.health = CollectorHealth(self.batcher, self.deliveries, time.time)
        self.scrape = Scrape(self.metrics, ProcessSources(self.batcher, self.deliveries), time.time)
        for delivery in self.deliveries:
            self.batcher.on_arrival(delivery.notice)
            await delivery.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(delivery.stop() for delivery in self.deliveries))
        await self.batcher.close()
        self._folder.cleanup()

    def _delivery(self, sink: Sink) -> Delivery:
        return Delivery(
            sink,
            self.batcher.queue(sink.name),
            lambda table: NOW,
            metrics=self.metrics,
            clock=time.time,
            random=lambda: 0.5,
            write_timeout_seconds=self.write_timeout_seconds,
            max_batch_bytes=1 << 24,
            settings=self.settings,
        )

    @property
    def delivery(self) -> Delivery:
        """The sick sink's."""
        return self.deliveries[0]

    async def add(self, lines: Sequence[bytes], table: str = "events") -> None:
        """Rows of one request, for every sink."""
        await self.batcher.add([Entry(tuple(Row(table, line) for line in lines))])

    async def add_to_all(self, count: int, first: int = 0) -> None:
        """So many numbered rows for each table."""
        for table in TABLES:
            await self.add(numbered(count, first), table)

    async def until(self, is_true: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait for something to become true, looking often."""
        async with asyncio.timeout(seconds):
            while not is_true():  # noqa: ASYNC110 # what it looks at has no event: counters and snapshots
                await asyncio.sleep(0.002)

    async def until_the_healthy_have(self, lines: Sequence[bytes], *tables: str) -> None:
        """Wait until the two healthy sinks have exactly these rows of these tables, in order."""
        for sink in self.healthy:
            for table in tables:
                await self.until(lambda sink=sink, table=table: len(sink.lines(table)) >= len(lines))  # type: ignore[misc]  # mypy infers no type for a lambda's defaults
                assert sink.lines(table) == list(lines)

    def counted(self, name: str, **labels: str) -> float:
        """A metric of the sick sink, over all labels that are not given."""
        wanted = {"sink": self.sick.name, **labels}
        return sum(
            sample.value
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == f"tracker_{name}_total" and wanted.items() <= sample.labels.items()
        )

    def held(self, table: str = "events") -> str | None:
        """Why the sick sink's table holds."""
        return next(one.held for one in self.delivery.snapshot().tables if one.table == table)

    async def dead(self) -> list[DeadLetter]:
        """Every dead letter of every sink with its line, oldest first."""
        letters = await self.batcher.read(self.spool.dead_letters, DeadFilter(), 1_000_000)
        found = [await self.batcher.read(self.spool.dead_letter, letter.id) for letter in letters]
        return [letter for letter in found if letter is not None]

    async def is_conserved(self) -> bool:
        """No row of any sink and table is unaccounted for."""
        return all(total.difference == 0 for total in await self.batcher.totals())


def misbehaving(behaviour: Behaviour, *tables: str) -> ScriptedSink:
    """A sink that does this with every write of these tables (none: of all)."""
    sink = ScriptedSink("sick", parallel=4)
    sink.always = dict.fromkeys(tables or TABLES, behaviour)
    return sink
