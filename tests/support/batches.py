"""Rows and batches for tests of sinks."""

from collections.abc import Sequence
from typing import Any

import orjson
import uuid_utils

from tracker.events import Batch

CREATED = "2026-11-22 03:00:00.123Z"


def new_id() -> str:
    """A new UUIDv7 as text."""
    return str(uuid_utils.uuid7())


def event(**columns: Any) -> dict[str, Any]:
    """An event's row with an id and a time of its own."""
    return {"eid": new_id(), "created_at": CREATED, **columns}


def line(row: dict[str, Any] | bytes) -> bytes:
    """A row as its line; bytes are a line already."""
    return row if isinstance(row, bytes) else orjson.dumps(row)


def batch(
    rows: Sequence[dict[str, Any] | bytes],
    table: str = "events",
    batch_id: str | None = None,
    *,
    is_repeat: bool = False,
) -> Batch:
    """Rows sealed under an id, a new one when none is given."""
    data = b"".join(line(row) + b"\n" for row in rows)
    return Batch(batch_id or new_id(), table, len(rows), data, is_repeat)
