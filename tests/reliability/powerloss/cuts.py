"""Cuts of the power at many moments of one recording, each judged."""

import itertools
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.judge import Verdict, judge
from tests.reliability.powerloss.disk import Disk
from tests.reliability.powerloss.recording import Kind, Record, Start, read_recording
from tests.reliability.powerloss.recovery import Rebuilt
from tests.reliability.powerloss.tails import SECTOR, Fate, Luck
from tests.reliability.stores import duckdb_rows

TAILS = (Luck.NONE, Luck.HALF, Luck.ANY)
"""How the first ends of a moment fare, and all further ones."""

Items = Sequence[Record | Start]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A load that was recorded: the server's data folder, the records, the clients' files."""

    data: Path
    items: Items
    clients: Path

    @classmethod
    def of(cls, folder: Path) -> "Recorded":
        """In a server's folder, as `record` leaves it."""
        return cls(folder / "data", read_recording(folder / "disk"), folder / "clients")


@dataclass
class Cuts:
    """What came of them all."""

    judged: int = 0
    unfinished: int = 0
    """Batches that were sealed and not finished when the power went."""
    owed: int = 0
    fate: Fate = field(default_factory=Fate)
    bad: list[tuple[str, Verdict]] = field(default_factory=list)
    put_aside: list[str] = field(default_factory=list)
    """Cuts after which the spool was taken for damaged."""


def moments(items: Items, count: int, chance: random.Random) -> list[int]:
    """Numbers of the records after which the power goes: just before and after syncs, of each file alike, and
    anywhere; one of them, under load, while something is being synced."""
    syncs: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        if isinstance(item, Record) and item.kind is Kind.SYNC_END:
            syncs.setdefault(item.path, []).append(number)
    chosen = {chance.choice(_syncs_under_way(items[len(items) // 2 :])) + len(items) // 2}
    while len(chosen) < count:
        end = chance.choice(syncs[chance.choice(list(syncs))])
        chosen.add(chance.choice((end - 1, end, chance.randrange(1, len(items)))))
    return sorted(chosen)


def _syncs_under_way(items: Items) -> list[int]:
    """Numbers of syncs that begin right after a write of several sectors."""
    return [
        number
        for number, (written, begun) in enumerate(itertools.pairwise(items), start=1)
        if isinstance(written, Record)
        and isinstance(begun, Record)
        and (written.kind, begun.kind, written.inode) == (Kind.WRITE, Kind.SYNC_BEGIN, begun.inode)
        and len(written.data) > 4 * SECTOR
    ]


async def cut(recorded: Recorded, seed: int, count: int, tails: int, folder: Path) -> Cuts:
    """Cut the power at `count` moments, each with `tails` different ends of what was not durable."""
    chance, cuts = random.Random(seed), Cuts()
    for until_ns, disk in _at(recorded.items, moments(recorded.items, count, chance), chance):
        for tail in range(tails):
            place = folder / "cut"
            name = f"seed {seed}, {until_ns} ns, tail {tail}"
            files = disk.after_power_cut(cuts.fate, TAILS[min(tail, len(TAILS) - 1)])
            rebuilt = Rebuilt.of(place, recorded.data, files)
            verdict = await _judged(rebuilt, recorded, until_ns, cuts, name)
            if not verdict.is_clean:
                cuts.bad.append((name, verdict))
            if rebuilt.is_put_aside:
                cuts.put_aside.append(name)
            shutil.rmtree(place)
    return cuts


async def _judged(rebuilt: Rebuilt, recorded: Recorded, until_ns: int, cuts: Cuts, name: str) -> Verdict:
    try:
        cuts.unfinished += await rebuilt.recover()
    except Exception as error:
        error.add_note(name)
        raise
    verdict = judge(recorded.clients, duckdb_rows(rebuilt), until_ns=until_ns)
    cuts.judged += 1
    cuts.owed += verdict.acknowledged
    return verdict


def _at(items: Items, numbers: Sequence[int], chance: random.Random) -> Iterator[tuple[int, Disk]]:
    """The disk at each of these moments, and until when it was like that, on the monotonic clock."""
    disk, at = Disk(chance), 0
    for number in numbers:
        for item in items[at : number + 1]:
            disk.happened(item)
        at = number + 1
        yield items[at].ns - 1 if at < len(items) else items[number].ns, disk
