"""After a power cut: the files laid out, spool and store opened by the project's own classes, all delivered.

The judgement of what then is in the store is `tests.reliability.judge`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.server import write_config
from tracker.batching.contract import Sealed
from tracker.batching.spool import Spool
from tracker.commands.local import open_spool
from tracker.config import Config, load
from tracker.settings import sink_settings
from tracker.sinks.base import Sink
from tracker.sinks.registry import make_sink

NOW = 2_000_000_000.0
BATCH_ROWS, BATCH_BYTES = 1000, 1 << 20


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A folder as a machine finds it when the power is back; `data` lies in it."""

    folder: Path

    @classmethod
    def of(cls, folder: Path, data: Path, files: Mapping[str, bytes]) -> "Rebuilt":
        """Lay these files, known by their paths below `data`, out in a new place."""
        folder.mkdir(parents=True)
        write_config(folder, 1)
        for path, content in files.items():
            target = folder / "data" / Path(path).relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            _lay(target, content)
        return cls(folder)

    @property
    def is_put_aside(self) -> bool:
        """The spool was taken for damaged when it was opened."""
        return any((self.folder / "data" / "spool").glob("*.damaged*"))

    async def recover(self) -> int:
        """Deliver all that waits; returns how many batches were unfinished. Each batch is written twice,
        to a store that must take it once. Raises AssertionError when the books are not right."""
        environ = {"TRACKER_SPOOL__DURABILITY": "process-crash"}  # only the cut is judged, and syncs are slow
        config = load(self.folder / "config.json", environ).config
        spool = open_spool(config)
        try:
            unfinished = await _deliver(config, spool)
            _check_books(spool)
        finally:
            spool.close()
        return unfinished


def _lay(target: Path, content: bytes) -> None:
    with target.open("wb") as file:
        if content.count(0) == len(content):
            file.truncate(len(content))
        else:
            file.write(content)


async def _deliver(config: Config, spool: Spool) -> int:
    (service,) = config.sinks
    sink = make_sink(sink_settings(config, service))
    spool.attach_sinks([service.name])
    await sink.open()
    try:
        unfinished = spool.unfinished(service.name)
        for sealed in unfinished:
            await _write(sink, spool, sealed)
        for table in [key[1] for key in spool.memory.backlogs]:
            while sealed_now := spool.seal(service.name, table, BATCH_ROWS, BATCH_BYTES, NOW):
                await _write(sink, spool, sealed_now)
    finally:
        await sink.close()
    return len(unfinished)


async def _write(sink: Sink, spool: Spool, sealed: Sealed) -> None:
    batch = spool.load(sealed)
    await sink.write(batch)
    await sink.write(replace(batch, is_repeat=True))
    spool.finish(sealed)


def _check_books(spool: Spool) -> None:
    verdict = spool.verify()
    assert verdict.is_sound, verdict.problems
    totals = spool.totals()
    assert not [total for total in totals if total.difference or total.waiting or total.dead], totals
