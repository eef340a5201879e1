"""The spool's folder: the lock, the connections, the ballast, and putting a damaged file aside.

It knows files and pragmas; what is inside the database is others' business.
"""

import fcntl
import os
import sqlite3
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from tracker.errors import TrackerError

BALLAST_BYTES = 8 * 1024 * 1024
_BUSY_SECONDS = 10.0


class Durability(StrEnum):
    """What an acknowledged event survives."""

    POWER_LOSS = "power-loss"
    PROCESS_CRASH = "process-crash"
    MEMORY = "memory"


_SYNCHRONOUS = {Durability.POWER_LOSS: "FULL", Durability.PROCESS_CRASH: "NORMAL", Durability.MEMORY: "OFF"}


class SpoolFiles:
    """One folder with one spool; only one process at a time can hold it. Raises TrackerError when held."""

    def __init__(self, folder: Path, durability: Durability) -> None:
        self.folder = folder
        self.path = folder / "spool.db"
        self.durability = durability
        self._ballast = folder / "ballast"
        self.has_ballast = self._ballast.exists()
        """There is room put by that sealing and finishing can use on a full disk."""
        self._suspect = folder / "suspect"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except BlockingIOError as err:
            raise TrackerError(
                f"the spool {self.path} is in use by another process:"
                " stop that one, or give this one its own Spool.Path"
            ) from err
        except OSError as err:
            raise TrackerError(f"the spool {self.path} cannot be written: {err.strerror}") from err

    def _take_lock(self) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), self.path.stat()):
                raise BlockingIOError("another process just put this file aside")
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def connect(self, *, is_writer: bool = False) -> sqlite3.Connection:
        """A connection of its own, in WAL mode, that never checkpoints by itself. Raises sqlite3.Error."""
        db = self.inspect()
        try:
            db.execute(f"PRAGMA query_only = {not is_writer}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self.durability]}")
            db.execute("PRAGMA secure_delete = FAST")  # full zeroing would write every freed page once more
            db.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def inspect(self) -> sqlite3.Connection:
        """A connection that leaves a file as it is, whatever it holds, as long as it only reads."""
        db = sqlite3.connect(
            self.path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        db.execute("PRAGMA query_only = TRUE")
        return db

    def settle(self) -> None:
        """Make the folder's entries survive a power cut, where the durability promises it."""
        if self.durability is not Durability.POWER_LOSS:
            return
        for folder in (self.folder, self.folder.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def set_aside(self, now: float) -> Path:
        """Rename the file and its companions out of the way, lock a new, empty one; returns the new name."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        aside = self.folder / f"spool.db.damaged-{stamp}"
        number = 1
        while aside.exists():
            number += 1
            aside = self.folder / f"spool.db.damaged-{stamp}-{number}"
        for ending in ("-wal", "-shm", ""):
            source = Path(f"{self.path}{ending}")
            if source.exists():
                source.rename(f"{aside}{ending}")
        held, self._lock = self._lock, self._take_lock()
        os.close(held)
        return aside

    @property
    def is_suspect(self) -> bool:
        """Damage was seen while the spool was in use: the next start reads it through."""
        return self._suspect.exists()

    def mark_suspect(self) -> None:
        """Let the next start know that damage was seen; a disk that cannot take the mark shows elsewhere."""
        with suppress(OSError):
            self._suspect.touch(mode=0o600)

    def clear_suspicion(self) -> None:
        """The file was read through, or is new."""
        self._suspect.unlink(missing_ok=True)

    def make_ballast(self) -> bool:
        """Put room by; False when the disk has none."""
        descriptor = os.open(self._ballast, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        except OSError:
            self._ballast.unlink(missing_ok=True)
            self.has_ballast = False
        else:
            self.has_ballast = True
        finally:
            os.close(descriptor)
        return self.has_ballast

    def give_up_ballast(self) -> bool:
        """Let go of the room put by; False when there was none."""
        self.has_ballast = False
        try:
            self._ballast.unlink()
        except FileNotFoundError:
            return False
        return True

    def file_bytes(self) -> int:
        """Size of the database file, 0 when there is none."""
        return _size(self.path)

    def wal_bytes(self) -> int:
        """Size of the write-ahead log, used or not."""
        return _size(Path(f"{self.path}-wal"))

    def release(self) -> None:
        """Let another process have the spool. Safe twice; every connection must be closed before."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
