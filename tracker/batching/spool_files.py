"""The spool's folder: the lock, the connections, the ballast, and putting a damaged file aside.

It knows files and pragmas; what is inside the database is others' business.
"""

import fcntl
import os
import sqlite3
import time
from contextlib import closing, suppress
from enum import StrEnum
from pathlib import Path

from tracker.errors import InUse, TrackerError

BALLAST_BYTES = 8 * 1024 * 1024
_BUSY_SECONDS = 10.0


UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file that may hold anything raises: a message of SQLite's that quotes it may be no text."""


class Durability(StrEnum):
    """What an acknowledged event survives."""

    POWER_LOSS = "power-loss"
    PROCESS_CRASH = "process-crash"
    MEMORY = "memory"


_SYNCHRONOUS = {Durability.POWER_LOSS: "FULL", Durability.PROCESS_CRASH: "NORMAL", Durability.MEMORY: "OFF"}


class SpoolFiles:
    """One folder with one spool; only one process at a time can hold it. Raises InUse when one does, and
    TrackerError."""

    def __init__(self, folder: Path, durability: Durability) -> None:
        self.folder = folder
        self.path = folder / "spool.db"
        self.durability = durability
        self._ballast = folder / "ballast"
        self.has_ballast = self._ballast.exists()
        """There is room put by that sealing and finishing can use on a full disk."""
        self._suspect = folder / "suspect"
        self._in_use = folder / "in-use"
        self.salvage_path = folder / "spool.db.salvaging"
        """Where a new spool is made from a damaged one."""
        self._salvaged = folder / "spool.db.salvaged"
        self.kept_aside = 0
        """How many damaged spools lie in the folder, as of the last `count_aside`."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except BlockingIOError as err:
            raise InUse(
                f"the spool {self.path} is in use by another process:"
                " stop that one, or give this one its own Spool.Path"
            ) from err
        except OSError as err:
            raise TrackerError(f"the spool {self.path} cannot be written: {err.strerror}") from err

    def _take_lock(self) -> int:
        if self.path.is_dir():
            self.path.rename(self._aside(time.time()))
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
        db = self._open(str(self.path))
        try:
            db.execute(f"PRAGMA query_only = {not is_writer}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self.durability]}")
            db.execute("PRAGMA secure_delete = FAST")  # full zeroing would write every freed page once more
            db.execute("PRAGMA temp_store = MEMORY")
        except UNREADABLE:
            db.close()
            raise
        return db

    def inspect(self) -> sqlite3.Connection:
        """A connection that leaves file and log as they are, whatever they hold, also when it is closed."""
        return self._open(f"{self.path.absolute().as_uri()}?mode=ro")

    def undo_half_made(self) -> None:
        """Let SQLite take back what a making that was cut off left: only then is there a rollback journal."""
        if Path(f"{self.path}-journal").exists():
            with suppress(*UNREADABLE), closing(self._open(str(self.path))) as db:
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def _open(self, place: str) -> sqlite3.Connection:
        return sqlite3.connect(
            place,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=place.startswith("file:"),
        )

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

    def replace(self, now: float) -> Path:
        """Put file and log aside and the finished spool at `salvage_path` in their place; how the old one is
        called now.

        A process that ends in the middle leaves `finish_replacing` what it needs to finish.
        """
        self.salvage_path.rename(self._salvaged)
        self.settle()
        aside = self._aside(now)
        self.path.rename(aside)
        self._bring_in(aside)
        return aside

    def finish_replacing(self, now: float) -> bool:
        """Finish what an earlier process began; True when there was something to finish."""
        self.salvage_path.unlink(missing_ok=True)
        if not self._salvaged.exists():
            return False
        if self.file_bytes():  # the damaged file is still here: it is looked at again
            self._salvaged.unlink()
            return False
        self._bring_in(self._aside(now))
        return True

    def _bring_in(self, aside: Path) -> None:
        """With the old file out of the way: what belongs to it, then the new one, which is locked."""
        for ending in ("-wal", "-shm"):
            source = Path(f"{self.path}{ending}")
            if source.exists():
                source.rename(f"{aside}{ending}")
        self._salvaged.rename(self.path)
        held, self._lock = self._lock, self._take_lock()
        os.close(held)

    def _aside(self, now: float) -> Path:
        """A name that is free."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        aside, number = self.folder / f"spool.db.damaged-{stamp}", 1
        while aside.exists() or Path(f"{aside}-wal").exists():
            number += 1
            aside = self.folder / f"spool.db.damaged-{stamp}-{number}"
        return aside

    def count_aside(self) -> None:
        """Bring `kept_aside` up to date."""
        names = [path.name for path in self.folder.glob("spool.db.damaged-*")]
        self.kept_aside = sum(1 for name in names if not name.endswith(("-wal", "-shm")))

    @property
    def is_log_missing(self) -> bool:
        """The process that used it before did not end well, and yet left no log."""
        return self.was_cut_off and not Path(f"{self.path}-wal").exists()

    @property
    def was_cut_off(self) -> bool:
        """The process that used it before, of this version, did not end well."""
        return self._in_use.exists()

    def note_use(self) -> None:
        """The log is there, from now until `forget_use`; a disk that cannot take this note can do without."""
        with suppress(OSError):
            os.close(os.open(self._in_use, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def forget_use(self) -> None:
        """The log may go."""
        self._in_use.unlink(missing_ok=True)

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
