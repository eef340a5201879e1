"""The model of a disk itself: what it may and must not lose."""

import random
from collections.abc import Sequence

from tests.reliability.powerloss.disk import Disk
from tests.reliability.powerloss.recording import Kind, Record, Start
from tests.reliability.powerloss.tails import SECTOR, Fate

FOLDER, FILE, OTHER = "/data", "/data/file", "/data/other"
INODES = {FILE: 1, OTHER: 2, FOLDER: 3}
TAILS = 200


def step(
    kind: Kind, path: str = FILE, offset: int = 0, data: bytes = b"", inode: int | None = None
) -> Record:
    return Record(0, INODES.get(path, 9) if inode is None else inode, offset, kind, path, data)


def synced(path: str = FILE, number: int = 1) -> list[Record]:
    return [step(Kind.SYNC_BEGIN, path, number), step(Kind.SYNC_END, path, number)]


def created(path: str = FILE) -> list[Record]:
    return [step(Kind.CREATE, path)]


def wrote(data: bytes, offset: int = 0, path: str = FILE) -> list[Record]:
    return [step(Kind.WRITE, path, offset, data)]


def ends(items: Sequence[Record | Start]) -> tuple[list[dict[str, bytes]], Fate]:
    """Many possible ends of these steps."""
    disk, fate = Disk(random.Random(1)), Fate()
    for item in items:
        disk.happened(item)
    return [disk.after_power_cut(fate) for _ in range(TAILS)], fate


def contents(items: Sequence[Record | Start], path: str = FILE) -> set[bytes | None]:
    return {end.get(path) for end in ends(items)[0]}


def test_what_was_synced_is_there() -> None:
    assert contents([*created(), *wrote(b"old"), *synced()]) == {b"old"}


def test_what_was_written_after_the_sync_began_may_be_lost() -> None:
    begin, end = synced()
    found = contents([*created(), *wrote(b"old"), *synced(), begin, *wrote(b"new"), end])
    assert found == {b"old", b"new"}


def test_an_unsynced_file_may_be_missing_empty_torn_or_whole() -> None:
    data = b"a" * SECTOR + b"b" * SECTOR
    found = contents([*created(), *wrote(data)])
    assert {None, b"", data, data[:SECTOR], bytes(SECTOR) + data[SECTOR:]} == found


def test_sectors_of_two_writes_may_mix_but_no_sector_is_half_old() -> None:
    size = 2 * SECTOR
    found = contents([*created(), *wrote(b"o" * size), *synced(), *wrote(b"n" * size)])
    assert found == {bytes(a) * SECTOR + bytes(b) * SECTOR for a in (b"o", b"n") for b in (b"o", b"n")}


def test_names_come_through_in_order() -> None:
    steps = [*created(), *created(OTHER), step(Kind.UNLINK, FILE)]
    assert {tuple(sorted(end)) for end in ends(steps)[0]} == {(), (FILE,), (FILE, OTHER), (OTHER,)}


def test_a_sync_carries_earlier_names_and_not_those_that_came_after_its_own_newest_change() -> None:
    first = [*created(), *wrote(b"1"), *synced()]
    renamed = step(Kind.RENAME, FILE, data=b"/data/new")
    overwritten = [*first, *created(OTHER), *wrote(b"x", path=OTHER), *synced(OTHER, 2), renamed]
    assert {
        tuple(sorted(end)) for end in ends([*overwritten, *wrote(b"y", 0, OTHER), *synced(OTHER, 3)])[0]
    } == {
        (FILE, OTHER),
        ("/data/new", OTHER),
    }
    grown = [*overwritten, *wrote(b"y", 1, OTHER), *synced(OTHER, 3)]
    assert {tuple(sorted(end)) for end in ends(grown)[0]} == {("/data/new", OTHER)}


def test_a_synced_folder_keeps_its_names() -> None:
    assert contents([*created(), *synced(FOLDER)]) == {b""}


def test_what_follows_a_lost_truncation_is_lost() -> None:
    steps = [*created(), *wrote(b"long ago"), *synced(), step(Kind.TRUNCATE, offset=0), *wrote(b"new")]
    assert contents(steps) == {b"long ago", b"", b"new"}


def test_what_a_failed_sync_did_not_carry_no_later_one_does() -> None:
    begin = step(Kind.SYNC_BEGIN, offset=2)
    failed = [*created(), *synced(), *wrote(b"lost"), begin, step(Kind.SYNC_FAILED, offset=2)]
    found = set()
    for seed in range(TAILS):
        disk = Disk(random.Random(seed))
        for item in [*failed, *synced(number=3)]:
            disk.happened(item)
        assert disk.now == {FILE: b"lost"}
        found.add(disk.after_power_cut(Fate())[FILE])
    assert found == {b"", b"lost"}
    assert contents([*failed, *wrote(b"kept"), *synced(number=3)]) == {b"kept"}


def test_a_process_finds_what_the_killed_one_could_not_write_down() -> None:
    start = Start(0, {OTHER: (2, b"x"), "/data/more": (4, b"y")})
    disk = Disk(random.Random(1))
    for item in [*created(), *created(OTHER), *synced(FOLDER)]:
        disk.happened(item)
    disk.happened(start)
    assert disk.now == {OTHER: b"x", "/data/more": b"y"}
    assert disk.durable == {FILE: b"", OTHER: b""}


def test_fates_are_counted() -> None:
    _, fate = ends([*created(), *synced(), *wrote(b"x" * 3 * SECTOR)])
    assert fate.kept
    assert fate.torn
    assert fate.lost
    assert fate.kept + fate.torn + fate.lost == TAILS
