"""How writes that no sync carried fare in a power cut. Which writes those are is `disk`'s business."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

SECTOR = 512


class Write(NamedTuple):
    """Bytes on their way to a file."""

    serial: int
    offset: int
    data: bytes


Choice = Callable[[Write], Iterator[tuple[int, bytes]]]
"""What of a write comes through: offsets and bytes."""


@dataclass
class Fate:
    """What became of the writes that were not durable when the power went."""

    kept: int = 0
    torn: int = 0
    lost: int = 0
    lost_changes: int = 0

    def count(self, came: int, size: int) -> None:
        """Of a write of this size so many bytes came through."""
        self.kept += came == size
        self.lost += came == 0
        self.torn += 0 < came < size


class Luck(Enum):
    """How one cut fares."""

    NONE = auto()
    """Everything that was not durable is lost."""
    HALF = auto()
    """Names and sizes are there, and of the bytes every other sector or so."""
    ANY = auto()


def prefix(count: int, chance: random.Random, luck: Luck) -> int:
    """How many of so many changes that come through in order do."""
    if luck is not Luck.ANY:
        return 0 if luck is Luck.NONE else count
    return chance.choice((0, count, chance.randint(0, count)))


def choose(chance: random.Random, luck: Luck) -> Choice:
    """How one file's writes fare; by any luck all are lost, all are kept, some come whole, some in sectors,
    or as many as there was time for."""
    share = chance.random() if luck is Luck.ANY else 0.5
    left = chance.randrange(64) * SECTOR

    def nothing(_: Write) -> Iterator[tuple[int, bytes]]:
        return iter(())

    def whole(write: Write) -> Iterator[tuple[int, bytes]]:
        yield write.offset, write.data

    def some(write: Write) -> Iterator[tuple[int, bytes]]:
        return whole(write) if chance.random() < share else nothing(write)

    def sectors(write: Write) -> Iterator[tuple[int, bytes]]:
        return (part for part in _sectors(write) if chance.random() < share)

    def in_order(write: Write) -> Iterator[tuple[int, bytes]]:
        nonlocal left
        for part in _sectors(write):
            if left > 0:
                yield part
            left -= SECTOR

    if luck is not Luck.ANY:
        return nothing if luck is Luck.NONE else sectors
    return chance.choice((nothing, whole, some, sectors, sectors, in_order))


def _sectors(write: Write) -> Iterator[tuple[int, bytes]]:
    at, end = write.offset, write.offset + len(write.data)
    while at < end:
        stop = min((at // SECTOR + 1) * SECTOR, end)
        yield at, write.data[at - write.offset : stop - write.offset]
        at = stop
