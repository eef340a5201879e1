"""A second copy of the spool's small tables, in its file but far away: one bad block does not take both.

Triggers keep it in the same transactions. Each copied row is there twice, so that a changed one is known by
itself. Reading a damaged spool with it is `wreck`'s business.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from types import MappingProxyType

COPIED: Mapping[str, tuple[int, tuple[str, ...]]] = MappingProxyType(
    {
        "sequences": (1, ("tbl", "last", "upto", "trimmed")),
        "sinks": (1, ("name", "is_attached")),
        "cursors": (2, ("sink", "tbl", "start", "sealed", "offset")),
        "gaps": (3, ("sink", "tbl", "first", "last")),
        "counts": (3, ("sink", "tbl", "name", "value")),
        "batches": (
            1,
            ("id", "n", "parent", "sink", "tbl", "first", "last", "rows", "skipped", "sealed_at", "crc"),
        ),
    }
)
"""Table to its columns, of which the first so many tell its rows apart. Long columns are not copied."""

VERSION_KIND = "version"
_AWAY_BYTES = 1024 * 1024
"""As much lies between the tables and their copies."""

_TABLE = """
CREATE TABLE away (room BLOB);
INSERT INTO away VALUES (zeroblob({away}));
CREATE TABLE copies (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    twin TEXT GENERATED ALWAYS AS (content) STORED,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO copies (kind, key, content) VALUES ('{kind}', '', json_array({version}));
"""

_TRIGGERS = """
CREATE TRIGGER {table}_{what} AFTER {event} ON {table} BEGIN
    INSERT INTO copies (kind, key, content) VALUES ('{table}', json_array({key}), json_array({content}))
        ON CONFLICT (kind, key) DO UPDATE SET content = excluded.content;
END;
"""

_GONE = """
CREATE TRIGGER {table}_gone AFTER DELETE ON {table} BEGIN
    DELETE FROM copies WHERE kind = '{table}' AND key = json_array({key});
END;
"""


def copying(version: int) -> str:
    """The statements that make the copies and keep them, for an otherwise finished schema."""
    parts = [_TABLE.format(away=_AWAY_BYTES, kind=VERSION_KIND, version=version)]
    for table, (keys, columns) in COPIED.items():
        content = ", ".join(f"NEW.{column}" for column in columns)
        new, old = (", ".join(f"{row}.{column}" for column in columns[:keys]) for row in ("NEW", "OLD"))
        for what, event in (("came", "INSERT"), ("changed", "UPDATE")):
            parts.append(_TRIGGERS.format(table=table, what=what, event=event, key=new, content=content))
        parts.append(_GONE.format(table=table, key=old))
    return "".join(parts)


def difference(db: sqlite3.Connection) -> str:
    """The first table that is not as its copy says, '' when all are. Raises sqlite3.Error."""
    for table, (_, columns) in COPIED.items():
        own = db.execute(f"SELECT json_array({', '.join(columns)}) FROM {table}")  # noqa: S608 (names of ours)
        copied = db.execute("SELECT content FROM copies WHERE kind = ? AND content = twin", (table,))
        if sorted(own.fetchall()) != sorted(copied.fetchall()):
            return table
    return ""


def sound(rows: Iterable[tuple[object, ...]]) -> dict[str, list[tuple[object, ...]]]:
    """Kind to the contents of those rows of `copies` that are as they were written."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for row in rows:
        if len(row) == 4 and row[2] == row[3] and isinstance(row[0], str) and isinstance(row[2], str):
            found.setdefault(row[0], []).append(tuple(json.loads(row[2])))
    return found
