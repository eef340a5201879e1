"""The spool: one SQLite file that is the queue. What `commit` returned for is safe, for every sink.

This file ties the parts together; how chunks are cut is in `cutting`, what a batch goes through in
`batch_book`, what stays in memory in `spool_memory`, what a failing disk means in `spool_database`.
It is synchronous: one thread writes, one reads, a third moves the log; `batcher` owns those threads.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

from tracker.batching import dead_letters, rejection_marks, sink_roster
from tracker.batching.batch_book import BatchBook
from tracker.batching.checkpoints import Checkpointer
from tracker.batching.contract import Sealed, Verdicts
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.dead_letters import NOT_EDITED, DeadFilter, DeadLetter
from tracker.batching.dead_limits import DeadLimits
from tracker.batching.disk_room import DiskRoom
from tracker.batching.housekeeping import Housekeeping
from tracker.batching.intake import arrange, store
from tracker.batching.opening import open_sound
from tracker.batching.removing import Removal, Removed
from tracker.batching.scrubbing import Scrub, empty_log
from tracker.batching.sealing import read_changed, read_data
from tracker.batching.spool_database import DAMAGE, DISK_FULL, SpoolDatabase
from tracker.batching.spool_files import UNREADABLE, Durability, SpoolFiles
from tracker.batching.spool_memory import SpoolMemory
from tracker.batching.spool_values import (
    CHUNK_BYTES,
    GIB,
    KEPT_DEAD,
    WAL_LIMIT_BYTES,
    KeptDead,
    SpoolSettings,
    SpoolState,
    Stored,
)
from tracker.batching.totals import Total, Verdict, read_totals, verify
from tracker.errors import CannotStore, TrackerError
from tracker.events import Batch, Entry
from tracker.parts import table_of

log = logging.getLogger(__name__)

T = TypeVar("T")

SPOOL_FULL = "spool full"
_COMMIT_OVERHEAD_BYTES = 12 * 1024


class Spool:
    """Open it by `Spool.open`. Methods say which thread may call them; writer and reader may be one."""

    def __init__(
        self, files: SpoolFiles, settings: SpoolSettings, database: SpoolDatabase, memory: SpoolMemory
    ) -> None:
        self._files = files
        self._settings = settings
        self.database = database
        self._memory = memory
        self._generation = database.generation
        self._reader = files.connect()
        self._checkpointer = Checkpointer(files, settings.wal_limit_bytes)
        self._room = DiskRoom(files, database, self._checkpointer)
        self._book = BatchBook(memory, self._transaction)
        self._removal = Removal(memory, self._transaction)
        self._housekeeping = Housekeeping(memory, self._transaction, settings.remember_for_seconds)
        self._dead_limits = DeadLimits(memory, self._transaction, settings.dead_letters)
        self._is_closed = False

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        durability: str = Durability.POWER_LOSS,
        max_bytes: int = 10 * GIB,
        remember_ids: int = 1_000_000,
        remember_for_seconds: float = 86_400.0,
        chunk_bytes: int = CHUNK_BYTES,
        wal_limit_bytes: int = WAL_LIMIT_BYTES,
        dead_letters: KeptDead = KEPT_DEAD,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open or make the spool in this folder; a damaged file is put aside and a new one made.

        Raises TrackerError when another process has it or the folder cannot be written.
        """
        settings = SpoolSettings(
            Durability(durability),
            max_bytes,
            remember_ids,
            remember_for_seconds,
            chunk_bytes,
            wal_limit_bytes,
            dead_letters,
        )
        files = SpoolFiles(folder, settings.durability)
        try:
            database, memory = open_sound(files, settings.remember_ids, clock())
            spool = cls(files, settings, database, memory)
            files.note_use()
        except (sqlite3.Error, OSError) as err:
            files.release()
            raise TrackerError(f"the spool {files.path} cannot be opened: {err}") from err
        except BaseException:
            files.release()
            raise
        return spool

    # -- the writer's thread --

    def commit(self, entries: Sequence[Entry], now: float) -> Stored:
        """Store all of a group or nothing; durable when it returns. Raises CannotStore."""
        self._catch_up()
        memory, settings = self._memory, self._settings
        if not memory.remembered.is_loaded and any(entry.client_id for entry in entries):
            with self.database.reading() as db:
                memory.remembered.load(db)
        intake = arrange(entries, memory.remembered, memory.ends, now, settings.chunk_bytes)
        if not intake.chunks:
            return Stored(intake.retries, {})
        if memory.live_bytes + intake.bytes > settings.max_bytes:
            raise CannotStore(SPOOL_FULL)
        if not self._room.allows(intake.bytes):
            raise CannotStore(DISK_FULL)
        if not settings.remember_ids:
            intake = replace(intake, client_ids=())
        with self.database.writing() as db:
            store(db, intake, memory.remembered.seen.head)
        memory.stored(intake, now)
        self._checkpointer.wrote(intake.bytes + _COMMIT_OVERHEAD_BYTES, db)
        return Stored(intake.retries, intake.rows)

    def probe(self) -> None:
        """Find out whether the disk takes writes again. Raises CannotStore."""
        self.database.probe()
        self._room.allows(0)

    def attach_sinks(self, names: Iterable[str]) -> None:
        """These sinks, and no others, are configured: new ones start from now, others keep their backlog."""
        wanted = list(names)
        self._catch_up()
        if not wanted:
            log.warning("no sink is configured: rows are kept for the sinks there were")
            return
        absent = sink_roster.absent_from(self._memory, wanted)
        for name in absent:
            with self._transaction() as db:
                sink_roster.detach(db, self._memory, name)
        if absent:
            self._read_again()
        for name in wanted:
            self.register_sink(name)
        sink_roster.warn_of_absent(self._memory)

    def register_sink(self, name: str) -> None:
        """Rows from now on are this sink's too; a known one goes on where it was."""
        self._catch_up()
        if self._memory.sinks.get(name):
            return
        with self._transaction() as db:
            sink_roster.attach(db, self._memory, name)
        self._read_again()

    def drop_sink(self, name: str) -> int:
        """Give up the backlog of a sink that is not configured any more; returns the rows dropped."""
        if self._memory.sinks.get(name, True):
            raise TrackerError(f"sink {name!r} is in use or was never known: its backlog cannot be dropped")
        rows = self._with_room(lambda: self._drop_backlog(name))
        self._read_again()
        return rows

    def _drop_backlog(self, name: str) -> int:
        with self._transaction() as db:
            return sink_roster.drop_backlog(db, self._memory, name)

    def seal(self, sink: str, table: str, max_rows: int, max_bytes: int, now: float) -> Sealed | None:
        """Cut the oldest waiting rows into a batch; None when nothing waits. Raises CannotStore."""
        return self._with_room(lambda: self._book.seal(sink, table, max_rows, max_bytes, now))

    def unfinished(self, sink: str) -> list[Sealed]:
        """Every batch of this sink that is not finished, oldest rows first."""
        self._catch_up()
        return self._book.unfinished(sink)

    def give_back(self, batches: Sequence[Sealed]) -> None:
        """Sealed batches that never reached delivery: `seal` hands them out again."""
        self._book.give_back(batches)

    def begin(self, sealed: Sealed) -> Sealed | None:
        """A batch that waited for its first send, as it is to be sent; None when nothing is left of it.

        Raises CannotStore.
        """
        return self._with_room(lambda: self._book.begin(sealed))

    def finish(self, sealed: Sealed) -> None:
        """The sink has it. Harmless when asked again. Raises CannotStore."""
        self._with_room(lambda: self._book.finish(sealed))

    def reject(self, sealed: Sealed, reasons: Mapping[int, str], now: float) -> Sealed | None:
        """Put rows aside by position, seal the rest as a child, or None. Raises CannotStore."""
        return self._with_room(lambda: self._book.reject(sealed, reasons, now))

    def give_up(self, sealed: Sealed, lost: frozenset[int]) -> Sealed | None:
        """Go on without these rows of a batch, by number, which are damaged; None when none is left. Raises
        CannotStore."""
        return self._with_room(lambda: self._book.give_up(sealed, lost))

    def halve(self, sealed: Sealed, now: float) -> tuple[Sealed, Sealed]:
        """Replace a batch of at least two rows by two. Raises CannotStore."""
        return self._with_room(lambda: self._book.halve(sealed, now))

    def forgive(self, sink: str, table: str) -> None:
        """Forget the sink's verdicts on this table's rows. Raises CannotStore."""
        self._with_room(lambda: self._book.forgive(sink, table))

    def replay(
        self,
        ids: Iterable[int] | None,
        which: DeadFilter,
        now: float,
        edited: Mapping[int, bytes] = NOT_EDITED,
    ) -> list[Sealed]:
        """Dead letters of these ids (None: all the filter lets through) wait again, in their own batches.

        `edited` has the lines, by id, that replace what was put aside.
        """
        return self._with_room(lambda: self._book.replay(self._chosen(ids, which), edited, now))

    def drop_dead(self, ids: Iterable[int] | None, which: DeadFilter) -> int:
        """Dead letters of these ids (None: all the filter lets through) go for good; returns how many."""
        return self._with_room(lambda: self._book.drop_dead(self._chosen(ids, which)))

    def _chosen(self, ids: Iterable[int] | None, which: DeadFilter) -> list[DeadLetter]:
        with self.database.reading() as db:
            return dead_letters.choose(db, ids, which)

    def remove(self, change: Callable[[Removal], Removed]) -> Removed:
        """Take out or change rows that wait, in one transaction that overwrites them. Raises CannotStore."""

        def removed() -> Removed:
            with self.database.reading() as db:
                db.execute("PRAGMA secure_delete = ON")
                try:
                    return change(self._removal)
                finally:
                    with suppress(sqlite3.Error):  # a connection that was given up: the next one has it anew
                        db.execute("PRAGMA secure_delete = FAST")

        try:
            return self._with_room(removed)
        finally:
            self._read_again()

    def scrub(self) -> Scrub:
        """Overwrites what was freed in the file, in steps of its own on this thread."""
        return Scrub(self._transaction)

    def empty_log(self) -> bool:
        """Let go of what the log still holds of rows that are gone; False when it is read just now. Raises
        CannotStore."""
        with self.database.reading() as db:
            return empty_log(db)

    def housekeep(self, now: float) -> bool:
        """One short step of what can wait: rows nobody needs, ids too old. True when there is more to do."""
        self._catch_up()
        return any((self._housekeeping.step(now), self._dead_limits.step(now)))

    # -- the reader's thread --

    def load(self, sealed: Sealed) -> Batch:
        """The batch's bytes, the same at each call. Raises SpoolDamaged when they are not what was stored."""
        try:
            data = self.ask(lambda db: read_data(db, sealed))
        except SpoolDamaged:
            self._files.mark_suspect()
            raise
        table = table_of(sealed.table)
        return Batch(
            sealed.id, table, sealed.rows, data, sealed.is_repeat, part=sealed.table.removeprefix(table)
        )

    def changed_rows(self, sealed: Sealed) -> frozenset[int]:
        """The batch's rows, by number, that are not as they were stored. Raises SpoolDamaged when that cannot
        be told of each."""
        return self.ask(lambda db: read_changed(db, sealed))

    def verdicts(self, sink: str, table: str) -> Verdicts:
        """The sink's last verdicts on this table's rows."""
        return self.ask(lambda db: rejection_marks.read(db, sink, table))

    def totals(self) -> list[Total]:
        """Where every accepted row is, per sink and table, in one consistent view."""
        return self.ask(read_totals)

    def verify(self) -> Verdict:
        """Read and check everything; takes as long as the file is large."""
        return self.ask(verify)

    def dead_letters(self, which: DeadFilter, limit: int = 100) -> list[DeadLetter]:
        """Rows that were put aside, oldest first, without their lines."""
        return self.ask(lambda db: dead_letters.find(db, which, limit))

    def dead_letter(self, letter_id: int) -> DeadLetter | None:
        """One row that was put aside, with its line."""
        return self.ask(lambda db: dead_letters.show(db, letter_id))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What a short question to the file gives, as of now. Raises CannotStore or SpoolDamaged."""
        try:
            return question(self._reader)
        except UNREADABLE as err:
            code = getattr(err, "sqlite_errorcode", 0) & 0xFF
            if code in DAMAGE:
                self._files.mark_suspect()
                raise SpoolDamaged("the spool file is damaged: a restart goes on with the rest") from err
            raise CannotStore("spool cannot be read") from err

    # -- any thread --

    @property
    def memory(self) -> SpoolMemory:
        """Counters and backlogs; others than the writer only read single values."""
        return self._memory

    def state(self) -> SpoolState:
        """The spool as of now."""
        return SpoolState(
            self._memory.live_bytes,
            self._settings.max_bytes,
            self._files.file_bytes(),
            self._files.wal_bytes(),
            len(self._memory.remembered),
            len(self._memory.held),
            self.database.failure or (DISK_FULL if self._room.is_short else ""),
            self._memory.dead_bytes,
            self._settings.dead_letters.max_bytes,
            self._files.kept_aside,
        )

    def close(self) -> None:
        """Move the log into the file and let go of everything. Safe twice; no other call may be under way."""
        if self._is_closed:
            return
        self._is_closed = True
        self._checkpointer.close()
        self._reader.close()
        self._files.forget_use()
        self.database.close()  # the last connection: SQLite moves the log and removes it
        self._files.release()

    # -- within --

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self.database.transaction() as db:
            yield db
        self._checkpointer.wrote(_COMMIT_OVERHEAD_BYTES, db)

    def _catch_up(self) -> None:
        """After the connection was replaced, take what memory holds from the file. Raises CannotStore."""
        self.database.connection()
        if self._generation != self.database.generation:
            self._read_again()
            self._generation = self.database.generation

    def _read_again(self) -> None:
        with self.database.reading() as db:
            self._memory.read(db)

    def _with_room(self, change: Callable[[], T]) -> T:
        """What makes room may use the room put by for it."""
        self._catch_up()
        try:
            return change()
        except CannotStore as err:
            if err.reason != DISK_FULL or not self._files.give_up_ballast():
                raise
        self._room.ballast_was_used()
        self._catch_up()
        return change()
