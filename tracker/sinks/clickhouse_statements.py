"""What the statements of schema/clickhouse/*.sql say. They are few kinds, all of them safe to run twice:

    CREATE TABLE IF NOT EXISTS name (columns) ENGINE = engine ...
    CREATE OR REPLACE VIEW name AS SELECT ...
    ALTER TABLE name ADD COLUMN | INDEX | PROJECTION IF NOT EXISTS ...
    ALTER TABLE name MODIFY COLUMN column Decimal(38, 9)

Anything else is refused, so that no migration can destroy what is stored, and none reaches a cluster
in a form that nobody has thought about.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tracker.errors import ConfigError
from tracker.sinks.clickhouse_sql import Statement, Token, depths, significant

CLAUSES = ("PARTITION BY", "PRIMARY KEY", "ORDER BY", "SAMPLE BY", "TTL", "SETTINGS", "COMMENT")
ADDS_COLUMN = ("ADD", "COLUMN", "IF", "NOT", "EXISTS")
ADDS_TO_STORED = (("ADD", "INDEX", "IF", "NOT", "EXISTS"), ("ADD", "PROJECTION", "IF", "NOT", "EXISTS"))
EXACT = re.compile(r"MODIFY\s+COLUMN\s+\w+\s+Decimal\(38,\s*9\)")
"""The one change of a column that is there: an amount becomes exact."""
_SHARD = re.compile(r"--\s*shard by:\s*(\w+(?:\s*,\s*\w+)*)\s*")


@dataclass(frozen=True, slots=True)
class EngineClause:
    """What stands after `ENGINE =`, as people write it and as `system.tables.engine_full` shows it."""

    name: str
    arguments: tuple[str, ...]
    clauses: Mapping[str, str]
    """`ORDER BY` and the others that are there, in their order, to what they say."""

    @property
    def sorting_columns(self) -> tuple[str, ...]:
        """ORDER BY without its brackets."""
        return parts(_without_brackets(self.clauses.get("ORDER BY", "")))

    @property
    def settings(self) -> dict[str, str]:
        """SETTINGS by name."""
        pairs = (setting.partition("=") for setting in parts(self.clauses.get("SETTINGS", "")))
        return {key.strip(): value.strip() for key, _, value in pairs}


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A table that is made when it is not there."""

    name: str
    columns: str
    """With their brackets."""
    engine: EngineClause
    shard_by: tuple[str, ...]
    """Columns that say on which shard of a cluster a row lies."""


@dataclass(frozen=True, slots=True)
class CreateView:
    """A view, made anew when it is there."""

    name: str
    select: str


@dataclass(frozen=True, slots=True)
class AlterTable:
    """Alterations of one table that do nothing the second time."""

    name: str
    alterations: str
    is_for_distributed: bool
    """A Distributed table over this one needs them too."""


Understood = CreateTable | CreateView | AlterTable


def understand(statement: Statement) -> Understood:
    """What a statement says. Raises ConfigError for one of another kind, with its first line."""
    reader = _Reader(statement)
    if reader.took("CREATE", "TABLE", "IF", "NOT", "EXISTS"):
        return _table(reader, statement)
    if reader.took("CREATE", "OR", "REPLACE", "VIEW"):
        view = reader.name()
        reader.need("AS")
        return CreateView(view, reader.rest())
    if reader.took("ALTER", "TABLE"):
        return _alteration(reader)
    return reader.refuse(
        "only CREATE TABLE IF NOT EXISTS, CREATE OR REPLACE VIEW and ALTER TABLE may stand here"
    )


def engine_clause(text: str) -> EngineClause:
    """Read an engine and its clauses: `MergeTree(a) ORDER BY b`. Raises ConfigError."""
    reader = _Reader(Statement(text, ()))
    engine, arguments = reader.name(), reader.group() if reader.is_at("(") else ""
    return EngineClause(engine, parts(_without_brackets(arguments)), _clauses(reader))


def parts(text: str) -> tuple[str, ...]:
    """What commas separate, brackets kept whole; () for nothing."""
    found = significant(text)
    levels = depths(found)
    commas = [
        token.start for token, depth in zip(found, levels, strict=True) if token.text == "," and not depth
    ]
    starts, ends = [0, *(at + 1 for at in commas)], [*commas, len(text)]
    return tuple(
        text[start:end].strip() for start, end in zip(starts, ends, strict=True) if text[start:end].strip()
    )


def _table(reader: "_Reader", statement: Statement) -> CreateTable:
    table, columns = reader.name(), reader.group()
    reader.need("ENGINE")
    reader.need("=")
    engine = engine_clause(reader.rest())
    matches = [match for comment in statement.comments if (match := _SHARD.fullmatch(comment))]
    shard_by = parts(matches[-1][1]) if matches else engine.sorting_columns
    if not set(shard_by) <= set(engine.sorting_columns):
        # Else rows that replace one another could lie on different shards and never meet.
        reader.refuse(f"shard by: {', '.join(shard_by)} must be columns of ORDER BY")
    return CreateTable(table, columns, engine, shard_by)


def _alteration(reader: "_Reader") -> AlterTable:
    table, alterations = reader.name(), reader.rest()
    if all(EXACT.fullmatch(alteration) for alteration in parts(alterations)):
        return AlterTable(table, alterations, is_for_distributed=True)
    verbs = {_verb(alteration) for alteration in parts(alterations)}
    if verbs == {ADDS_COLUMN}:
        return AlterTable(table, alterations, is_for_distributed=True)
    if verbs and verbs <= set(ADDS_TO_STORED):
        return AlterTable(table, alterations, is_for_distributed=False)
    return reader.refuse(
        "an ALTER here adds columns, or indices and projections, each IF NOT EXISTS, or makes amounts exact"
    )


def _verb(alteration: str) -> tuple[str, ...]:
    return tuple(token.word for token in significant(alteration)[:5])


def _clauses(reader: "_Reader") -> dict[str, str]:
    found: dict[str, str] = {}
    while not reader.is_at_end:
        clause = reader.clause()
        if clause in found:
            reader.refuse(f"{clause} stands there twice")
        found[clause] = reader.until_clause()
    return found


def _without_brackets(text: str) -> str:
    """`(a, b)` -> `a, b`; `(a) + (b)` stays."""
    found = significant(text)
    if not found or found[0].text != "(" or depths(found).count(0) != 2:
        return text
    return text[found[0].end : found[-1].start]


class _Reader:
    """Goes through the tokens of one statement from left to right."""

    def __init__(self, statement: Statement) -> None:
        self._sql = statement.sql
        self._first_line = statement.first_line
        self._tokens: Sequence[Token] = significant(statement.sql)
        self._depths = depths(self._tokens)
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._tokens)

    def is_at(self, *words: str) -> bool:
        here = self._tokens[self._at : self._at + len(words)]
        return tuple(token.word for token in here) == words

    def took(self, *words: str) -> bool:
        """Go over these words when they come next."""
        is_here = self.is_at(*words)
        self._at += len(words) if is_here else 0
        return is_here

    def need(self, word: str) -> None:
        if not self.took(word):
            self.refuse(f"{word} is missing")

    def name(self) -> str:
        if self.is_at_end or self._tokens[self._at].kind != "word":
            self.refuse("a plain name is missing")
        token = self._tokens[self._at]
        self._at += 1
        if self.is_at("."):
            self.refuse("names stand without a database here")
        return token.text

    def group(self) -> str:
        """What stands in brackets, with them."""
        if not self.is_at("("):
            self.refuse("a ( is missing")
        first = self._at
        self._at += 1
        while self._depths[self._at] > self._depths[first]:
            self._at += 1
        self._at += 1
        return self._sql[self._tokens[first].start : self._tokens[self._at - 1].end]

    def clause(self) -> str:
        for clause in CLAUSES:
            if self.took(*clause.split()):
                return clause
        return self.refuse(f"not understood from {self._tokens[self._at].text!r} on")

    def until_clause(self) -> str:
        first = self._at
        while not self.is_at_end and not self._is_at_clause():
            if self.is_at("AS"):
                self.refuse("a table is not made of an answer here")
            self._at += 1
        if first == self._at:
            self.refuse("a clause is empty")
        return self._sql[self._tokens[first].start : self._tokens[self._at - 1].end]

    def rest(self) -> str:
        if self.is_at_end:
            self.refuse("it ends in the middle")
        first, self._at = self._at, len(self._tokens)
        return self._sql[self._tokens[first].start :]

    def refuse(self, reason: str) -> NoReturn:
        raise ConfigError(f"{self._first_line!r}: {reason}")

    def _is_at_clause(self) -> bool:
        return not self._depths[self._at] and any(self.is_at(*clause.split()) for clause in CLAUSES)
