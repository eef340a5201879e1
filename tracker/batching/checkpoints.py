"""Moves the write-ahead log into the database file beside the commits, with its own thread and connection."""

import logging
import sqlite3
import threading

from tracker.batching.spool_files import SpoolFiles

log = logging.getLogger(__name__)

EVERY_BYTES = 2 * 1024 * 1024


class Checkpointer:
    """Passive checkpoints: they never wait for the writer and the writer never waits for them.

    A log starts over only when all of it was moved, so one that never comes to rest only grows. When a pass
    leaves it beyond `limit_bytes`, the writer moves the few frames that came meanwhile: `wrote` is called on
    its thread after each commit.
    """

    def __init__(self, files: SpoolFiles, limit_bytes: int) -> None:
        self._files = files
        self._limit_bytes = limit_bytes
        self._pending = 0
        self._is_long = False
        self._is_stopping = False
        self.is_hurried = False
        """The disk is nearly full: what is not moved yet is kept small."""
        self._wake = threading.Event()
        self._db = files.connect(is_writer=True)
        self._page_bytes = int(self._db.execute("PRAGMA page_size").fetchone()[0])
        self._thread = threading.Thread(target=self._run, name="spool-checkpoints", daemon=True)
        self._thread.start()

    def wrote(self, size: int, db: sqlite3.Connection) -> None:
        """Say how many bytes were added, by the writer's connection, outside a transaction."""
        self._pending += size
        if self._is_long:
            self._is_long = False
            self._pass(db)  # what it cannot move now, the next long pass asks for again
        elif self._pending >= EVERY_BYTES:
            self._pending = 0
            self._wake.set()

    def _pass(self, db: sqlite3.Connection) -> bool:
        """Move what is there when it begins; True when the log is beyond its limit."""
        try:
            _, frames, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as err:
            self._failed(err)
            return False
        limit = EVERY_BYTES if self.is_hurried else self._limit_bytes
        return bool(frames * self._page_bytes > limit)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._is_stopping:
                return
            self._is_long = self._pass(self._db)

    def _failed(self, err: sqlite3.Error) -> None:
        name = getattr(err, "sqlite_errorname", type(err).__name__)
        log.warning("spool checkpoint failed", extra={"fields": {"error": name}})
        if (
            getattr(err, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            and self._files.give_up_ballast()
        ):
            self._wake.set()  # once more with the room of the ballast

    def close(self) -> None:
        """Stop the thread and let go of the connection. Safe twice."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        self._db.close()
