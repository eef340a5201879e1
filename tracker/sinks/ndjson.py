"""A batch's bytes as lines, and as a file that a store's own JSON reader can read."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

import orjson

SUFFIX = ".ndjson"

COMMON_BYTES = 1 << 20
"""A line of more than these bytes is a case of its own."""


def lines(data: bytes) -> list[bytes]:
    """The lines of a batch in order, without their newlines; empty ones are kept, so positions are rows."""
    return data.removesuffix(b"\n").split(b"\n") if data else []


def joined(some: Sequence[bytes]) -> bytes:
    """Lines as a batch carries them: each ended by a newline."""
    return b"".join(line + b"\n" for line in some)


def has_long_line(data: bytes) -> bool:
    """Whether any line has more than COMMON_BYTES; looks at one place per so many bytes."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + COMMON_BYTES)
        if end < 0:
            return True
        start = end + 1
    return False


def pieces(data: bytes, most_bytes: int) -> Iterator[bytes]:
    """The same lines in pieces of at most `most_bytes`; a longer line is a piece of its own."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + most_bytes)
        if end < 0:
            end = data.find(b"\n", start)
        end = end if end >= 0 else len(data)
        yield data[start : end + 1]
        start = end + 1


def sample(data: bytes, count: int) -> Iterator[bytes]:
    """At most `count` lines at even distances, all of them when there are no more; nothing else is copied."""
    if data.count(b"\n") <= count:
        yield from lines(data)
        return
    for step in range(count):
        start = data.rfind(b"\n", 0, step * len(data) // count + 1) + 1
        end = data.find(b"\n", start)
        yield data[start : end if end >= 0 else len(data)]


def has_other_keys(line: bytes, names: AbstractSet[str]) -> bool:
    """Whether this JSON object has a key that is none of `names`; False for what is no JSON object."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and not value.keys() <= names


@contextmanager
def handed_over(folder: Path, data: bytes) -> Iterator[Path]:
    """A new file in `folder`, readable by its owner only, that is gone afterwards."""
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=SUFFIX)
    file = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        yield file
    finally:
        file.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Make the hand-over folder (mode 0700) and remove what a killed process left in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob(f"*{SUFFIX}"):
        file.unlink(missing_ok=True)
