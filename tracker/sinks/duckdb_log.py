"""How much of DuckDB's write-ahead log was acknowledged, so that an opening replays that and no more.

What lies behind it never was: a process was killed between writing and syncing, a sync failed, the power
went. DuckDB would replay some of that as committed although no disk has it, refuse the file over other (an
entry of the right length with wrong bytes), and take some broken entries for sound, as its checksum is blind
to lost sectors of one repeated value. Cut off, it costs nothing: its batch is sent again.
"""

import fcntl
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_HEAD_BYTES = 64
"""Enough of a log to tell it from the one before a checkpoint."""
_NOTE_BYTES = 256
"""Less than a sector: the note on the disk is the old or the new one, whatever happens."""


class AcknowledgedLog:
    """A note beside the database, locked from its making to `close`: one owner of the log at a time.

    For one thread at a time; everything raises OSError.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._log = database.with_name(f"{database.name}.wal")
        self._note = os.open(
            database.with_name(f"{database.name}.acknowledged"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            _lock(fcntl.flock, self._note)
        except OSError:
            os.close(self._note)
            raise

    @property
    def bytes(self) -> int:
        """Size of the log as it is now."""
        return self._log.stat().st_size if self._log.exists() else 0

    def prepare(self) -> None:
        """Before the database is opened: cut off what never was acknowledged, make the rest durable."""
        if not self._log.exists():
            self.note()
            return
        self._let_no_one_have_it_open()
        size, is_final = self._noted()
        if is_final:
            self._cut(size)
        if self._log.exists():
            sync(self._log)

    def cut_checkpoint(self) -> bool:
        """Whether a log that cannot be replayed was cut to what it held when a checkpoint began to end it."""
        size, is_final = self._noted()
        if is_final or not 0 < size < self.bytes:
            return False
        self._cut(size)
        return True

    def note(self) -> None:
        """All that is in the log is durable, and may be acknowledged when this returns."""
        self._write("acknowledged")

    def ends(self) -> None:
        """A checkpoint begins: what it adds to the log must stay."""
        self._write("checkpoint")

    def close(self) -> None:
        """Let another have the log. After a clean end there is none, and who opens the file may make one."""
        with suppress(OSError):  # the note of a log that is gone does no harm
            if not self._log.exists():
                os.pwrite(self._note, b" " * _NOTE_BYTES, 0)
        os.close(self._note)

    def _write(self, word: str) -> None:
        line = f"{word} {self.bytes} {self._head()}".ljust(_NOTE_BYTES - 1) + "\n"
        os.pwrite(self._note, line.encode(), 0)
        os.fdatasync(self._note)

    def _noted(self) -> tuple[int, bool]:
        """Bytes, and whether nothing behind them counts. A log that the note does not know stays as it is."""
        match os.pread(self._note, _NOTE_BYTES, 0).decode("ascii", "replace").split():
            case ["acknowledged", "0", _]:
                return 0, True
            case [word, size, head] if head == self._head():
                return int(size), word == "acknowledged"
        return self.bytes, False

    def _head(self) -> str:
        if not self._log.exists():
            return "-"
        with self._log.open("rb") as file:
            return file.read(_HEAD_BYTES).hex()

    def _cut(self, size: int) -> None:
        beyond = self.bytes - size
        if beyond <= 0:
            return
        log.warning("duckdb log cut to what was acknowledged", extra={"fields": {"bytes": beyond}})
        if size:
            os.truncate(self._log, size)
        else:
            self._log.unlink()

    def _let_no_one_have_it_open(self) -> None:
        """DuckDB itself locks the file; here it is not open yet, so that closing it again unlocks nothing."""
        descriptor = os.open(self._database, os.O_RDWR | os.O_CLOEXEC)
        try:
            _lock(fcntl.lockf, descriptor)
        finally:
            os.close(descriptor)


def _lock(lock: Callable[[int, int], None], descriptor: int) -> None:
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise BlockingIOError(error.errno, "another process has a lock on it") from error


def sync(path: Path) -> None:
    """Make a file, or a folder's names, durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
