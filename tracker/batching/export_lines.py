"""Rows of the spool as lines of JSON for a file: one object a row, with the row's own bytes inside."""

import base64
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from tracker.batching.dead_letters import DeadLetter
from tracker.clock import timestamp_text

Export = AsyncGenerator[bytes | dict[str, Any], None]
"""Lines in pieces of about a megabyte, then, as the last item, the counts."""


def dead_line(letter: DeadLetter) -> bytes:
    """One dead letter with its row."""
    about = {
        "id": letter.id,
        "sink": letter.sink,
        "table": letter.table,
        "batch": letter.batch,
        "at": timestamp_text(letter.at),
        "reason": letter.reason,
    }
    return line_of(about, letter.line or b"")


def line_of(about: dict[str, object], row: bytes) -> bytes:
    """What is known about a row, then `row` as it was stored; `raw` in base64 when that is no JSON object."""
    if is_object(row):
        return orjson.dumps(about)[:-1] + b',"row":' + row + b"}\n"
    return orjson.dumps({**about, "raw": base64.b64encode(row).decode("ascii")}) + b"\n"


def is_object(row: bytes) -> bool:
    """Whether these bytes can stand inside a line of JSON as an object."""
    try:
        return isinstance(orjson.loads(row), dict)
    except orjson.JSONDecodeError:
        return False
