"""The spool's writing connection: transactions, and what each failure of the disk means for the caller.

Driver errors end here: they become CannotStore, and a connection that can no longer be trusted is replaced.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tracker.batching.spool_files import SpoolFiles
from tracker.errors import CannotStore

log = logging.getLogger(__name__)

DISK_FULL = "disk full"
DISK_FAILING = "disk failing"
SPOOL_BUSY = "spool busy"
SPOOL_DAMAGED = "spool damaged"
"""Only a start can help: it puts the file aside and goes on with what is readable."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PASSING = {sqlite3.SQLITE_FULL: DISK_FULL, sqlite3.SQLITE_BUSY: SPOOL_BUSY}


class SpoolDatabase:
    """Used by one thread at a time. `generation` changes when the connection was replaced: what memory
    holds of the database must then be read again."""

    def __init__(self, files: SpoolFiles) -> None:
        self._files = files
        self._db: sqlite3.Connection | None = files.connect(is_writer=True)
        self.generation = 0
        self.failure = ""
        """Why the last write failed, '' after one that did not."""

    def connection(self) -> sqlite3.Connection:
        """The connection, made anew when the last one was given up. Raises CannotStore."""
        if self._db is None:
            try:
                self._db = self._files.connect(is_writer=True)
            except sqlite3.Error as err:
                raise self._translated(err) from err
            self.generation += 1
        return self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable at the end. Raises CannotStore, and then nothing happened."""
        with self.writing() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """For a single statement that is its own transaction. Raises CannotStore."""
        with self.reading() as db:
            before = db.total_changes
            yield db
        if self.failure and db.total_changes != before:  # without a change nothing was asked of the disk
            self._recovered()

    def probe(self) -> None:
        """Write and sync something that changes nothing. Raises CannotStore."""
        with self.reading() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            db.execute(f"PRAGMA user_version = {version}")
        if self.failure:
            self._recovered()

    def _recovered(self) -> None:
        log.info("spool writes again", extra={"fields": {"after": self.failure}})
        self.failure = ""

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For questions on the writer's own connection. Raises CannotStore."""
        db = self.connection()
        try:
            yield db
        except sqlite3.Error as err:
            self._roll_back(db)
            raise self._translated(err) from err
        except BaseException:
            self._roll_back(db)
            raise

    def sizes(self) -> tuple[int, int]:
        """Bytes of the file once the log is moved, and how many of them are free. Raises CannotStore."""
        with self.reading() as db:
            used, free, page = db.execute(
                "SELECT page_count, freelist_count, page_size"
                " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
            ).fetchone()
        return used * page, free * page

    def _roll_back(self, db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            self._give_up()

    def _translated(self, err: sqlite3.Error) -> CannotStore:
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        reason = _PASSING.get(code & 0xFF)
        if reason is None:
            reason = SPOOL_DAMAGED if code & 0xFF in DAMAGE else DISK_FAILING
            self._give_up()  # after a failed write or sync neither its cache nor its state is to be trusted
        if self.failure != reason:
            name = getattr(err, "sqlite_errorname", type(err).__name__)
            log.error("spool cannot write", extra={"fields": {"reason": reason, "error": name}})
        if reason == SPOOL_DAMAGED:
            self._files.mark_suspect()
        self.failure = reason
        return CannotStore(reason)

    def _give_up(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def close(self) -> None:
        """Let go of the connection. Safe twice."""
        self._give_up()
