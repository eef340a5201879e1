"""What may be asked: one SELECT over tables, judged on ClickHouse's own parse. It answers nothing itself.

The engine's own read-only mode refuses writing once more. What that mode lets pass is refused only here:
files (a function of this name, INTO OUTFILE, the embedded engine's database `default`), other databases,
other people's machines, and settings of the asker's own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from tracker.errors import QueryError
from tracker.sinks.clickhouse_engine import Complaint, Engine
from tracker.sinks.clickhouse_sql import literal

TABLE_FUNCTIONS = frozenset(
    {
        "generateRandom",
        "generateSeries",
        "generate_series",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
    }
)
"""Functions that may stand in FROM: none of them reads a file, asks another machine or runs a program."""

FORBIDDEN_FUNCTIONS = frozenset(
    {
        "catboostevaluate",
        "evalmlmethod",
        "file",
        "generateserialid",
        "getclienthttpheader",
        "hascolumnintable",
        "logtrace",
        "showcertificate",
    }
)
"""Functions of values that read files, ask other machines, or leave something behind; in lower case."""

SYSTEM_DATABASES = frozenset({"system", "information_schema", "INFORMATION_SCHEMA"})

_ASKS_A_MODEL = re.compile(r"ai[A-Z]")
_NAME = r"(?:`(?:[^`\\]|\\.)*`|\w+)(?:\.(?:`(?:[^`\\]|\\.)*`|\w+))?"
_SHOW = re.compile(
    rf"SHOW (?:(?:FULL )?TABLES|DATABASES|FUNCTIONS|(?:EXTENDED )?(?:FULL )?COLUMNS|INDEXES"
    rf"|CREATE (?:TABLE|VIEW) {_NAME})(?: FROM {_NAME}){{0,2}}(?: (?:NOT )?I?LIKE '(?:[^'\\]|\\.)*')?"
    rf"|EXISTS (?:TABLE|VIEW) {_NAME}"
)
_DESCRIBE = re.compile(r"DESCRIBE TABLE ")
_EXPLAIN = re.compile(r"EXPLAIN (?:(?:AST|SYNTAX|QUERY TREE|PIPELINE|ESTIMATE) )?(?:\w+ = \d+,? )*")
_FIRST_WORD = re.compile(r"\(*(\w+)")
_IN = re.compile(r"(?:global)?(?:not)?(?:null)?(?:not)?in(?:ignoreset)?", re.IGNORECASE)
_NODE = re.compile(r"( *)(\w+) ?(.*?)(?: \(alias .*)?(?: \(children \d+\))?")
_HEAD = re.compile(r"^.*?Code: \d+\. DB::Exception: ")
_TAIL = re.compile(r" \(version .*$")
_AROUND = re.compile(r"(:? In scope |\. Expected one of: ).*?(?=: Maybe you meant| \([A-Z_]+\)$|$)")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A statement that may be run: as the engine wrote it, so without comments and surely only one."""

    sql: str
    is_plan: bool = False
    """It explains a question; the engine does this only where temporary tables may be made."""


class _Node(NamedTuple):
    """One line of the tree."""

    depth: int
    kind: str
    name: str


async def checked(engine: Engine, sql: str) -> Allowed:
    """The one statement in `sql` when it may be asked.

    Raises QueryError with what is wrong otherwise, and Unreachable as the engine does.
    """
    statement = await _parsed(engine, sql)
    if _SHOW.fullmatch(statement):
        return Allowed(statement)
    if _DESCRIBE.match(statement):
        await _judge(engine, _DESCRIBE.sub("SELECT * FROM ", statement, count=1))
        return Allowed(statement)
    if _EXPLAIN.match(statement):
        await _judge(engine, _EXPLAIN.sub("", statement, count=1))
        return Allowed(f"SELECT * FROM ({statement})", is_plan=True)  # noqa: S608 (checked)
    await _judge(engine, statement)
    return Allowed(statement)


def reason_of(error: Complaint) -> str:
    """ClickHouse's sentence for the person who asked, without what this program put around the question."""
    first = error.text.strip().partition("\n")[0]
    return _AROUND.sub("", _TAIL.sub("", _HEAD.sub("", first)))


async def _parsed(engine: Engine, sql: str) -> str:
    """The statement in the engine's own words; it refuses several at once."""
    try:
        told = await engine.ask(f"SELECT formatQuerySingleLine({literal(sql)})")
    except Complaint as error:
        raise QueryError(reason_of(error)) from error
    return str(told.rows[0][0])


async def _judge(engine: Engine, select: str) -> None:
    """Raise QueryError when it is no SELECT, or one that reaches further than the store's tables."""
    first = _FIRST_WORD.match(select)
    if first is None or first[1] not in ("SELECT", "WITH"):
        kind = first[1] if first else "this"
        raise QueryError(f"only SELECT (and DESCRIBE, SHOW, EXISTS, EXPLAIN of one) can be asked, not {kind}")
    try:
        told = await engine.ask(f"SELECT explain FROM (EXPLAIN AST {select})")  # noqa: S608 (the engine's own words)
    except Complaint as error:
        raise QueryError(reason_of(error)) from error
    # Names may hold line ends; that adds lines to the tree, and never parts a node from its first child.
    lines = (_NODE.fullmatch(str(row[0])) for row in told.rows)
    _refuse([_Node(len(line[1]), line[2], line[3]) for line in lines if line], engine.database)


def _refuse(nodes: Sequence[_Node], database: str) -> None:
    for place, node in enumerate(nodes):
        if node.kind == "Set":
            raise QueryError("SETTINGS cannot be part of a question")
        if node.kind == "TableExpression":
            _refuse_source(nodes[place + 1], database)
        elif node.kind == "Function":
            _refuse_function(node, database, nodes[place + 1 :])


def _refuse_source(node: _Node, database: str) -> None:
    """What stands in FROM."""
    if node.kind == "TableIdentifier":
        _refuse_database(node.name, database)
    elif node.kind == "Function" and node.name not in TABLE_FUNCTIONS:
        raise QueryError(f"the table function {node.name} cannot be used in a question")
    elif node.kind not in ("Function", "Subquery"):
        raise QueryError(f"only tables, views and questions can stand in FROM, not {node.kind}")


def _refuse_function(node: _Node, database: str, below: Sequence[_Node]) -> None:
    if node.name.lower() in FORBIDDEN_FUNCTIONS or _ASKS_A_MODEL.match(node.name):
        raise QueryError(f"the function {node.name} cannot be used in a question")
    if _IN.fullmatch(node.name):  # `x IN name` reads the table of this name
        parts = takewhile(lambda part: part.depth > node.depth, below)
        arguments = [part for part in parts if part.depth == node.depth + 2]
        for argument in arguments[1:2]:
            if argument.kind == "Identifier":
                _refuse_database(argument.name, database)


def _refuse_database(name: str, database: str) -> None:
    """A dot parts database and table; in the tree quotes are gone, so a dot in a table's name is one too."""
    first, dot, _ = name.partition(".")
    if dot and first != database and first not in SYSTEM_DATABASES:
        raise QueryError(f"only tables of {database} and system can be asked, not {name}")
