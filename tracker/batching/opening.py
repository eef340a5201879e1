"""From a folder's files to an open database and what memory holds of it; damage that shows only in reading is
looked for then.
"""

from tracker.batching import damage
from tracker.batching.spool_database import SpoolDatabase
from tracker.batching.spool_files import UNREADABLE, SpoolFiles
from tracker.batching.spool_memory import SpoolMemory


def open_sound(files: SpoolFiles, remember_ids: int, now: float) -> tuple[SpoolDatabase, SpoolMemory]:
    """Both, of a file that is sound, new or salvaged. Raises sqlite3.Error, OSError, TrackerError."""
    damage.prepare(files, now)
    database = SpoolDatabase(files)
    try:
        return database, SpoolMemory(database.connection(), remember_ids)
    except UNREADABLE:
        database.close()
    files.mark_suspect()
    damage.prepare(files, now)
    database = SpoolDatabase(files)
    return database, SpoolMemory(database.connection(), remember_ids)
