"""The configuration file as JSON, and the line on which each key stands. It gives no meaning to any key."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracker.config.keys import Place
from tracker.errors import ConfigError

MAX_BYTES = 4 * 2**20
"""A configuration larger than this is some other file."""

_PIECE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says."""

    name: str
    """The file as the person named it."""
    data: dict[str, Any]
    lines: Mapping[Place, int] = field(default_factory=dict)
    """The line, from 1, of each key and each item of a list."""
    repeated: tuple[Place, ...] = ()
    """Keys that stand twice in one object; `lines` has the second."""


def read(path: Path) -> Document:
    """Read and parse a file. Raises ConfigError."""
    text = _text_of(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as problem:
        raise ConfigError(f"{path}:{problem.lineno}:{problem.colno}: not JSON: {problem.msg}") from problem
    except RecursionError as problem:
        raise ConfigError(f"{path}: not usable: nested too deep") from problem
    except ValueError as problem:
        raise ConfigError(f"{path}: not usable: a number has too many digits") from problem
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected an object, one that begins with {{")
    repeated: list[Place] = []
    lines: dict[Place, int] = {}
    for place, line in _places(text):
        if place in lines:
            repeated.append(place)
        lines[place] = line
    return Document(str(path), data, lines, tuple(repeated))


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: over {MAX_BYTES} bytes, which is no configuration file")
        return data.decode("utf-8-sig")
    except FileNotFoundError as problem:
        raise ConfigError(f"{path}: no such file; name a configuration file or create it") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 text (byte {problem.start})") from problem
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise ConfigError(f"{path}: cannot be read: {reason}") from problem


def _places(text: str) -> Iterator[tuple[Place, int]]:
    """Each key and list item of valid JSON with its line."""
    stack: list[str | int | None] = []  # of each open object its current key, of each open list its position
    line, seen, is_key = 1, 0, False
    for match in _PIECE.finditer(text):
        piece = match.group()
        line, seen = line + text.count("\n", seen, match.start()), match.start()
        if is_key and piece[0] == '"':
            stack[-1] = json.loads(piece)
            yield _place(stack), line
        elif not is_key and piece not in ("]", ",", ":", "}") and stack and isinstance(stack[-1], int):
            yield _place(stack), line
        is_key = _move(stack, piece)


def _place(stack: list[str | int | None]) -> Place:
    return tuple(part for part in stack if part is not None)


def _move(stack: list[str | int | None], piece: str) -> bool:
    """Follow one piece; True when a key may come next."""
    if piece in ("{", "["):
        stack.append(None if piece == "{" else 0)
    elif piece in ("}", "]"):
        stack.pop()
    elif piece == "," and isinstance(stack[-1], int):
        stack[-1] += 1
    return piece == "{" or (piece == "," and not isinstance(stack[-1], int))
