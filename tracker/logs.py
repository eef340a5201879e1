"""How log lines look and how often they come: one JSON object a line on standard error, repeats counted.

What is worth a line, and that nothing personal is in it, is up to whoever logs: a short constant phrase as
the message and `extra={"fields": {...}}` beside it.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

SAMPLE_SECONDS = 10.0
MAX_KEYS = 1000
IDENTIFYING_FIELDS = ("sink", "table", "route")


def configure(
    level: str = "info", format: Literal["json", "text"] = "json", stream: TextIO | None = None
) -> logging.Handler:
    """Send all of the process's logs through one handler on standard error (or `stream`); returns it.

    Replaces what was configured before. Python's warnings become log lines too.
    """
    handler = SamplingHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    return handler


class JsonFormatter(logging.Formatter):
    """One JSON object: ts (UTC, ISO 8601), level, logger, msg, the record's fields, a traceback as one field.

    A field named like one of these five is kept under `field_<name>`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; values that JSON does not know become text."""
        line = {
            "ts": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        for name, value in _fields(record).items():
            line[f"field_{name}" if name in line or name == "traceback" else str(name)] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`2026-11-22T03:00:00.123Z INFO tracker.app: listening port=8880`, for people; tracebacks below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of text, its traceback below."""
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_timestamp(record.created)} {record.levelname} {record.name}: {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class SamplingHandler(logging.StreamHandler[TextIO]):
    """Writes warnings and errors that repeat once, then as a count at most every ten seconds.

    Two records repeat each other when logger, level, message, exception type and the fields that name a sink,
    a table or a route are the same. A count that is owed is written before the next line of any kind, or at
    close.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._sampler = Sampler()
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it when it repeats a warning or an error."""
        now = self._clock()
        for owed, count in self._sampler.owed(now):
            super().emit(_summary(owed, count))
        if record.levelno < logging.WARNING or self._sampler.admit(_key(record), record, now):
            super().emit(record)

    def close(self) -> None:
        """Write the counts that are still owed; the stream itself stays open."""
        for owed, count in self._sampler.owed(float("inf")):
            super().emit(_summary(owed, count))
        self.flush()
        super().close()


@dataclass(slots=True)
class _Seen:
    record: logging.LogRecord
    since: float
    suppressed: int = 0


class Sampler:
    """Which of many identical records are let through; knows nothing of where they go."""

    def __init__(self, period_seconds: float = SAMPLE_SECONDS, max_keys: int = MAX_KEYS) -> None:
        self._period = period_seconds
        self._max_keys = max_keys
        self._seen: dict[Hashable, _Seen] = {}

    def admit(self, key: Hashable, record: logging.LogRecord, now: float) -> bool:
        """True for the first of its kind in a period; the others are counted."""
        seen = self._seen.get(key)
        if seen is not None:
            seen.suppressed += 1
            return False
        if len(self._seen) < self._max_keys:
            self._seen[key] = _Seen(_without_traceback(record), now)
        return True

    def owed(self, now: float) -> Iterator[tuple[logging.LogRecord, int]]:
        """The first records of periods that are over and how many followed each; such a kind stays sampled
        for another period, one that stayed quiet is forgotten."""
        for key, seen in list(self._seen.items()):
            if now - seen.since < self._period:
                continue
            if seen.suppressed == 0:
                del self._seen[key]
                continue
            count, seen.suppressed, seen.since = seen.suppressed, 0, now
            yield seen.record, count


def _key(record: logging.LogRecord) -> Hashable:
    fields = _fields(record)
    named = tuple(str(fields.get(name, "")) for name in IDENTIFYING_FIELDS)
    failure = record.exc_info[0] if record.exc_info else None
    return (record.name, record.levelno, str(record.msg), failure, named)


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    # A traceback would keep its frames, and all they hold, alive for as long as the record is remembered.
    named = {name: value for name, value in _fields(record).items() if name in IDENTIFYING_FIELDS}
    return _record_like(record, named)


def _summary(first: logging.LogRecord, count: int) -> logging.LogRecord:
    return _record_like(first, {**_fields(first), "repeated": count})


def _record_like(model: logging.LogRecord, fields: dict[str, Any]) -> logging.LogRecord:
    values = {"name": model.name, "levelno": model.levelno, "levelname": model.levelname}
    return logging.makeLogRecord({**values, "msg": model.getMessage(), "fields": fields})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _timestamp(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
