"""Tokens of ClickHouse's SQL: enough to split a file into statements and to read their outline.

What a statement means lies in `clickhouse_statements`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tracker.errors import ConfigError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^'\\]|\\.|'')*')
      | (?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9][A-Za-z0-9_.]*)
      | (?P<symbol>[^'`"\#])""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """One word, literal or sign, and where it stands."""

    kind: str
    """word | text | quoted | number | symbol, and in between space | comment"""
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """In capitals when it is a word, else as it is."""
        return self.text.upper() if self.kind == "word" else self.text


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without its semicolon, and the comments that stand before it."""

    sql: str
    comments: tuple[str, ...]

    @property
    def first_line(self) -> str:
        """For messages."""
        return self.sql.partition("\n")[0]


def tokens(sql: str) -> Iterator[Token]:
    """Every token of a text, spaces and comments too. Raises ConfigError for a quotation without end."""
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None or match.lastgroup is None:
            raise ConfigError(f"SQL that cannot be read, from: {sql[at : at + 60]!r}")
        yield Token(match.lastgroup, match[0], at)
        at = match.end()


def significant(sql: str) -> tuple[Token, ...]:
    """Its tokens without spaces and comments."""
    return tuple(token for token in tokens(sql) if token.kind not in ("space", "comment"))


def split(sql: str) -> tuple[Statement, ...]:
    """The statements of a file. Raises ConfigError when the last one has no semicolon."""
    found: list[Statement] = []
    comments: list[str] = []
    start = -1
    for token in tokens(sql):
        if token.text == ";":
            if start >= 0:
                found.append(Statement(sql[start : token.start].rstrip(), tuple(comments)))
            start, comments = -1, []
        elif token.kind == "comment" and start < 0:
            comments.append(token.text)
        elif token.kind != "space" and start < 0:
            start = token.start
    if start >= 0:
        raise ConfigError(f"a statement without a semicolon at its end: {sql[start : start + 60]!r}")
    return tuple(found)


def depths(found: Sequence[Token]) -> list[int]:
    """How many brackets are open around each token; a bracket itself counts as outside."""
    open_ones: list[str] = []
    answer = []
    for token in found:
        if token.text in _PAIRS.values() and [token.text] != open_ones[-1:]:
            raise ConfigError(f"a bracket {token.text} that nothing opens")
        if token.text in _PAIRS.values():
            open_ones.pop()
        answer.append(len(open_ones))
        if token.text in _PAIRS:
            open_ones.append(_PAIRS[token.text])
    if open_ones:
        raise ConfigError(f"a bracket {open_ones[-1]} is missing")
    return answer


def compact(sql: str) -> str:
    """The text without spaces and comments that mean nothing, to compare what people and servers write."""
    found = significant(sql)
    words = ("word", "number")
    parts = [token.text for token in found[:1]]
    for before, token in pairwise(found):
        parts.append(f" {token.text}" if before.kind in words and token.kind in words else token.text)
    return "".join(parts)


def name(text: str) -> str:
    """An identifier, in backticks where it needs them."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def literal(text: str) -> str:
    """A text as SQL writes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
