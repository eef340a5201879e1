"""One delivery between a real spool and a scripted sink, with short waits, for the tests of delivery."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from tests.support.scripted_sink import ScriptedSink
from tests.unit.batching.faulty_queue import FaultyQueue
from tracker.batching.batcher import Batcher
from tracker.batching.breaker import BreakerSettings
from tracker.batching.dead_letters import DeadFilter, DeadLetter
from tracker.batching.delivery import Delivery, DeliverySettings
from tracker.batching.lane import LaneSettings
from tracker.batching.retry import RetrySettings
from tracker.batching.snapshot import TableSnapshot
from tracker.batching.spool import Spool
from tracker.batching.strategies import BatchSettings
from tracker.events import Entry, Row
from tracker.metrics import Metrics

QUICK = DeliverySettings(
    lane=LaneSettings(retry=RetrySettings(0.001, 0.02), probe_seconds=3600.0),
    breaker=BreakerSettings(failures=5, open_seconds=0.05, longest_seconds=0.1),
    close_timeout_seconds=0.2,
)
NOW = BatchSettings(strategy="immediate")
NEVER = BatchSettings(strategy="time", max_batch_time_seconds=3600.0, max_batch_size=100_000)


@dataclass
class Rig:
    """Everything of one sink. `async with` opens the spool, if `open` did not, and starts delivery."""

    sink: ScriptedSink = field(default_factory=ScriptedSink)
    batching: dict[str, BatchSettings] = field(default_factory=dict)
    settings: DeliverySettings = QUICK
    write_timeout_seconds: float = 5.0
    max_batch_bytes: int = 1 << 24
    clock: Callable[[], float] = time.time
    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)
    is_open: bool = False

    def open(self) -> None:
        """Open the spool as a new process would."""
        self.spool = Spool.open(Path(self.folder.name), durability="memory")
        self.spool.attach_sinks([self.sink.name])
        self.metrics = Metrics(CollectorRegistry(), "test")
        self.batcher = Batcher(self.spool, max_memory_bytes=1 << 26, clock=time.time, metrics=self.metrics)
        self.queue = FaultyQueue(self.batcher.queue(self.sink.name))
        self.delivery = Delivery(
            self.sink,
            self.queue,
            lambda table: self.batching.get(table, NOW),
            metrics=self.metrics,
            clock=self.clock,
            random=lambda: 0.5,
            write_timeout_seconds=self.write_timeout_seconds,
            max_batch_bytes=self.max_batch_bytes,
            settings=self.settings,
        )
        self.batcher.on_arrival(self.delivery.notice)
        self.is_open = True

    async def close(self) -> None:
        """Let go of the spool; what is in it stays for the next `open`."""
        self.is_open = False
        await self.delivery.stop()
        await self.batcher.close()

    async def __aenter__(self) -> "Rig":
        if not self.is_open:
            self.open()
        await self.delivery.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self.is_open:
                await self.close()
        finally:
            self.folder.cleanup()

    async def add(self, lines: list[bytes], table: str = "events") -> None:
        """Rows of one request; they are durable when it returns."""
        await self.batcher.add([Entry(tuple(Row(table, line) for line in lines))])

    async def until(self, is_true: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait for something to become true, looking often."""
        async with asyncio.timeout(seconds):
            while not is_true():  # noqa: ASYNC110 # what it looks at has no event: queue and snapshot
                await asyncio.sleep(0.001)

    async def until_empty(self, *tables: str) -> None:
        """Wait until these tables (none: all) owe nothing."""
        await self.until(lambda: not self.delivery.owes(*tables))

    def table(self, table: str = "events") -> TableSnapshot:
        """One table's snapshot."""
        return next(one for one in self.delivery.snapshot().tables if one.table == table)

    def counted(self, name: str, **labels: str) -> float:
        """A metric of this sink."""
        labels = {"sink": self.sink.name, **labels}
        return self.metrics.registry.get_sample_value(f"tracker_{name}_total", labels) or 0

    async def dead(self) -> list[DeadLetter]:
        """Every dead letter with its line, oldest first."""
        letters = await self.batcher.read(self.spool.dead_letters, DeadFilter(), 1_000_000)
        found = [await self.batcher.read(self.spool.dead_letter, letter.id) for letter in letters]
        return [letter for letter in found if letter is not None]


def numbered(count: int, first: int = 0) -> list[bytes]:
    """Rows that can be told apart."""
    return [b'{"n": %d}' % n for n in range(first, first + count)]
