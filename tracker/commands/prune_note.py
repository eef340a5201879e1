"""One number changed in a configuration file; every other character of it stays as a person wrote it."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tracker.errors import TrackerError

KEY = "PruneSkipToTimestamp"

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def note_done_before(config_file: Path, seconds: int) -> None:
    """Write PruneSkipToTimestamp into the file, whole or not at all. Raises TrackerError."""
    file = config_file.resolve()
    try:
        text = file.read_bytes().decode("utf-8")
        _replace(file, with_number(text, seconds))
    except (OSError, UnicodeDecodeError) as error:
        raise TrackerError(f"{config_file}: pruned, but {KEY} cannot be noted there: {error}") from error


def with_number(text: str, seconds: int) -> str:
    """The text of a JSON object with this number under KEY at its top, put in front when it has none."""
    spans = list(_values(text))
    if spans:
        start, end = spans[-1]  # of two keys of one name the last one counts
        return f"{text[:start]}{seconds}{text[end:]}"
    head = text.index("{") + 1
    rest = text[head:]
    space = rest[: len(rest) - len(rest.lstrip())]
    comma = "" if rest.lstrip().startswith("}") else ","
    return f'{text[:head]}{space}"{KEY}": {seconds}{comma}{rest}'


def _values(text: str) -> Iterator[tuple[int, int]]:
    """Where the values of KEY at the top begin and end; each is a number."""
    tokens = list(_TOKEN.finditer(text))
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth == 1 and token[0] == f'"{KEY}"' and tokens[place + 1][0] == ":":
            yield tokens[place + 2].span()


def _replace(file: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        new.chmod(file.stat().st_mode & 0o7777)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
