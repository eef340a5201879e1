"""A disk without power: what of the recorded writes it may hold at any moment.

The model, a little more hostile than ext4 and xfs in their default modes:

- Data. A write is durable once a sync of its file, begun after it, has ended well. Of every later write any
  part may be there, in sectors of 512 bytes.
- Names and sizes (creating, renaming, unlinking, truncating, growing) are journalled in order. A sync of a
  file or folder makes durable whatever came before its own newest journalled change, so writing into the
  middle of a file and syncing that carries no other file's name along. Of later changes a prefix may be
  there. What was written to a file after a change of it that is lost, is lost too.
- A sync that failed makes nothing durable, and what it should have carried is no longer carried by any later
  one (the kernel calls its pages clean): it is decided then what of it came through. The process goes on
  reading it as long as the machine runs.

Not in the model: bits that rot, sectors that are half old, disks that lie about a sync.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.reliability.powerloss.recording import Kind, Record, Start
from tests.reliability.powerloss.tails import Choice, Fate, Luck, Write, choose, prefix


class Resize(NamedTuple):
    """A file is cut or grown to a size."""

    serial: int
    size: int


@dataclass(eq=False)
class File:
    """One inode. `now` is what a process reads, `durable` what is surely on the disk."""

    now: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Resize] = field(default_factory=list)


class Change(NamedTuple):
    """A journalled change of a name (`to` is the new one, '' for none) or only of a file's size."""

    serial: int
    file: File
    name: str
    to: str


class Disk:
    """Replays records one by one; `after_power_cut` says what is left if the power goes now."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._serial = 0
        self._files: dict[int, File] = {}
        self._now: dict[str, File] = {}
        self._durable: dict[str, File] = {}
        self._journal: list[Change] = []
        self._syncs: dict[int, int] = {}

    @property
    def now(self) -> dict[str, bytes]:
        """What processes see: path to content."""
        return {path: bytes(file.now) for path, file in self._now.items()}

    @property
    def durable(self) -> dict[str, bytes]:
        """What is left if the power goes now and nothing came through by luck."""
        return self.after_power_cut(Fate(), Luck.NONE)

    def happened(self, item: Record | Start) -> None:
        """One more thing was done."""
        self._serial += 1
        if isinstance(item, Start):
            self._start(item)
        else:
            _STEPS[item.kind](self, item)

    # -- records --

    def _start(self, start: Start) -> None:
        """A process that was killed may have done one thing more than it could write down."""
        self._syncs.clear()
        for path in self._now.keys() - start.files.keys():
            self._rename(path, "")
        for path, (inode, content) in start.files.items():
            file = self._now.get(path)
            if file is None or self._files.get(inode) is not file:
                file = self._create(path, inode)
            if bytes(file.now) != content:
                self._resize(file, len(content))
                self._write(file, 0, content)

    def _on_create(self, record: Record) -> None:
        self._create(record.path, record.inode)

    def _create(self, path: str, inode: int) -> File:
        file = File()
        self._files[inode] = self._now[path] = file
        self._journal.append(Change(self._serial, file, "", path))
        return file

    def _on_write(self, record: Record) -> None:
        self._write(self._files[record.inode], record.offset, record.data)

    def _on_zero(self, record: Record) -> None:
        file = self._files[record.inode]
        count = min(int.from_bytes(record.data, "little"), len(file.now) - record.offset)
        self._write(file, record.offset, bytes(max(count, 0)))

    def _write(self, file: File, offset: int, data: bytes) -> None:
        if offset + len(data) > len(file.now):
            self._journal.append(Change(self._serial, file, "", ""))
        _put(file.now, offset, data)
        file.pending.append(Write(self._serial, offset, data))

    def _on_truncate(self, record: Record) -> None:
        self._resize(self._files[record.inode], record.offset)

    def _on_extend(self, record: Record) -> None:
        file = self._files[record.inode]
        self._resize(file, max(record.offset, len(file.now)))

    def _resize(self, file: File, size: int) -> None:
        self._journal.append(Change(self._serial, file, "", ""))
        _resize(file.now, size)
        file.pending.append(Resize(self._serial, size))

    def _on_rename(self, record: Record) -> None:
        self._rename(record.path, record.data.decode())

    def _on_unlink(self, record: Record) -> None:
        self._rename(record.path, "")

    def _rename(self, path: str, to: str) -> None:
        file = self._now.get(path)
        if file is None:  # no file: a socket
            return
        change = Change(self._serial, file, path, to)
        self._journal.append(change)
        _apply(change, self._now)

    def _on_sync_begin(self, record: Record) -> None:
        self._syncs[record.offset] = self._serial

    def _on_sync_end(self, record: Record) -> None:
        begun = self._syncs.pop(record.offset)
        file = self._files.get(record.inode)
        self._carry(self._newest_own(record, file, begun))
        if file is not None:
            for step in _split(file, begun):
                _settle(file, step)

    def _newest_own(self, record: Record, file: File | None, begun: int) -> int:
        """How many changes there are up to the newest, before the sync began, of what is synced."""
        for count in range(len(self._journal), 0, -1):
            change = self._journal[count - 1]
            if change.serial < begun and self._is_own(change, record, file):
                return count
        return 0

    def _carry(self, count: int) -> None:
        for change in self._journal[:count]:
            _apply(change, self._durable)
        del self._journal[:count]

    def _is_own(self, change: Change, record: Record, file: File | None) -> bool:
        """Whether a change of the journal is of the very thing that is synced."""
        if file is not None:
            return change.file is file
        return any(name.rpartition("/")[0] == record.path for name in (change.name, change.to) if name)

    def _on_sync_failed(self, record: Record) -> None:
        begun = self._syncs.pop(record.offset)
        file = self._files.get(record.inode)
        if file is None:
            return
        choice = choose(self._chance, Luck.ANY)
        for step in _split(file, begun):
            if isinstance(step, Resize):
                _settle(file, step)
                continue
            for offset, data in choice(step):
                _put(file.durable, offset, data)

    # -- the cut --

    def after_power_cut(self, fate: Fate, luck: Luck = Luck.ANY) -> dict[str, bytes]:
        """One of the many things that the disk may hold if the power goes now: path to content.

        What became of the writes that were not durable is counted in `fate`.
        """
        kept = prefix(len(self._journal), self._chance, luck)
        lost = self._journal[kept:]
        fate.lost_changes += len(lost)
        names = dict(self._durable)
        for change in self._journal[:kept]:
            _apply(change, names)
        since: dict[File, int] = {}
        for change in lost:
            if not change.name:
                since.setdefault(change.file, change.serial)
        return {
            path: _left_of(file, since.get(file), choose(self._chance, luck), fate)
            for path, file in names.items()
        }


def _left_of(file: File, lost_since: int | None, choice: Choice, fate: Fate) -> bytes:
    content = bytearray(file.durable)
    for step in file.pending:
        is_lost = lost_since is not None and step.serial >= lost_since
        if isinstance(step, Resize):
            if not is_lost:
                _resize(content, step.size)
            continue
        parts = [] if is_lost else list(choice(step))
        for offset, data in parts:
            _put(content, offset, data)
        came = sum(len(data) for _, data in parts)
        fate.count(came, len(step.data))
    return bytes(content)


def _split(file: File, begun: int) -> list[Write | Resize]:
    """Take out of `pending` what came before a sync began."""
    before = [step for step in file.pending if step.serial < begun]
    file.pending = file.pending[len(before) :]
    return before


def _settle(file: File, step: Write | Resize) -> None:
    if isinstance(step, Resize):
        _resize(file.durable, step.size)
    else:
        _put(file.durable, step.offset, step.data)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        _resize(content, offset)
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    if size <= len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def _apply(change: Change, names: dict[str, File]) -> None:
    if change.name:
        names.pop(change.name, None)
    if change.to:
        names[change.to] = change.file


def _nothing(_: Disk, __: Record) -> None:
    """A file that was there is said by `Start`."""


_STEPS: dict[Kind, Callable[[Disk, Record], None]] = {
    Kind.PRESENT: _nothing,
    Kind.CREATE: Disk._on_create,
    Kind.WRITE: Disk._on_write,
    Kind.TRUNCATE: Disk._on_truncate,
    Kind.EXTEND: Disk._on_extend,
    Kind.ZERO: Disk._on_zero,
    Kind.SYNC_BEGIN: Disk._on_sync_begin,
    Kind.SYNC_END: Disk._on_sync_end,
    Kind.SYNC_FAILED: Disk._on_sync_failed,
    Kind.RENAME: Disk._on_rename,
    Kind.UNLINK: Disk._on_unlink,
}
