"""Since when the spool holds anything that may still reach a store."""

import sqlite3

_OLDEST = """
SELECT min(created) FROM chunks
UNION ALL SELECT min(sealed_at) - 1e10 FROM batches WHERE data IS NOT NULL
UNION ALL SELECT min(CASE WHEN json_valid(CAST(line AS TEXT)) THEN
    coalesce(CAST(strftime('%s', json_extract(CAST(line AS TEXT), '$.created_at')) AS INTEGER), 0)
    ELSE 0 END) FROM dead
"""
# A replayed batch's rows are as old as they like, and so are dead letters without a time.


def oldest_row(db: sqlite3.Connection) -> float | None:
    """Unix seconds at which the oldest row was accepted that waits, is under way or is a dead letter.

    None when there is none; a time long past when that cannot be told.
    """
    found = [at for (at,) in db.execute(_OLDEST).fetchall() if at is not None]
    return max(min(found), 0.0) if found else None
