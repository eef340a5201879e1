"""Refuses new rows while the disk still has what is needed to move the log and to deliver: a spool that fills
its disk to the last byte could neither finish a batch nor make room.

The ballast covers others who fill the disk; this covers the spool itself.
"""

import logging
import os

from tracker.batching.checkpoints import Checkpointer
from tracker.batching.spool_database import SpoolDatabase
from tracker.batching.spool_files import BALLAST_BYTES, SpoolFiles

log = logging.getLogger(__name__)

MIB = 1024 * 1024
_RESERVE_BYTES = 1 * MIB
_TIGHT_BYTES = 64 * MIB
_MOST_CREDIT_BYTES = 16 * MIB


class DiskRoom:
    """Used by the writer's thread only. Asks the system only when what it last saw may be used up."""

    def __init__(self, files: SpoolFiles, database: SpoolDatabase, checkpointer: Checkpointer) -> None:
        self._files = files
        self._database = database
        self._checkpointer = checkpointer
        self._credit = 0
        self.is_short = False
        """The last group was refused."""

    def allows(self, size: int) -> bool:
        """A group of this many bytes may be stored. Raises CannotStore when the spool cannot be read."""
        if size > self._credit or not self._files.has_ballast:
            spare = self._spare()
            self._checkpointer.is_hurried = spare < _TIGHT_BYTES
            self._credit = min(spare // 8, _MOST_CREDIT_BYTES)
            self._note(spare < size or not self._has_ballast())
        else:
            self._credit -= size
        return not self.is_short

    def _spare(self) -> int:
        """Bytes the spool may still take: the disk's, less what the file grows by when the log is moved."""
        disk = os.statvfs(self._files.folder)
        used, free_inside = self._database.sizes()
        growth = max(0, used - self._files.file_bytes())
        return disk.f_bavail * disk.f_frsize + free_inside - growth - _RESERVE_BYTES

    def _has_ballast(self) -> bool:
        """Sealing and finishing have room of their own, put by or inside the file."""
        if self._files.has_ballast or self._files.make_ballast():
            return True
        _, free_inside = self._database.sizes()
        return free_inside >= BALLAST_BYTES

    def ballast_was_used(self) -> None:
        """Look again before the next group."""
        self._credit = 0

    def _note(self, is_short: bool) -> None:
        if is_short:
            self._credit = 0
        if is_short != self.is_short:
            self.is_short = is_short
            if is_short:
                log.error("disk nearly full, new events are refused")
            else:
                log.info("disk has room again")
