"""What may be asked: one SELECT over tables, judged on DuckDB's own parse of it. It answers nothing itself.

That a question writes nothing is made sure a second time by the read-only transaction it runs in; that it
reaches no other file by the locked configuration. Here it is refused early, with a sentence that says why,
and kept from the two folders that the configuration leaves open.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from tracker.errors import QueryError

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_databases",
        "duckdb_functions",
        "duckdb_indexes",
        "duckdb_keywords",
        "duckdb_memory",
        "duckdb_schemas",
        "duckdb_settings",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "pragma_database_size",
        "pragma_storage_info",
        "pragma_table_info",
        "range",
        "repeat",
        "repeat_row",
        "summary",
        "unnest",
    }
)
"""Functions that may stand in FROM: none of them reads a file, runs SQL of its own or changes anything."""

_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?", re.IGNORECASE)
_LIKE_A_FILE = re.compile(r"[./\\:*?]")


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The one statement in `sql` when it may be asked. Raises QueryError with what is wrong otherwise."""
    statement, kind = _only_statement(sql)
    inner = statement
    if kind == duckdb.StatementType.EXPLAIN:
        inner, kind = _only_statement(_EXPLAIN.sub("", statement, count=1))
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(
            f"only SELECT (and DESCRIBE, SHOW, SUMMARIZE, EXPLAIN of one) can be asked, not {kind.name}"
        )
    for node in _nodes(_parsed(connection, inner)):
        _refuse_files(node)
    return statement


def _only_statement(sql: str) -> tuple[str, duckdb.StatementType]:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from error
    if len(statements) != 1:
        raise QueryError(f"one statement can be asked at a time, this is {len(statements) or 'none'}")
    return statements[0].query, statements[0].type


def _parsed(connection: duckdb.DuckDBPyConnection, select: str) -> Any:
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [select]).fetchone() or ("{}",)
    tree = json.loads(text)
    if tree.get("error", True):
        raise QueryError(f"this cannot be asked: {tree.get('error_message', 'not a SELECT')}")
    return tree


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _refuse_files(node: dict[str, Any]) -> None:
    if node.get("type") == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in TABLE_FUNCTIONS:
            raise QueryError(f"the table function {name} cannot be used in a question")
    elif node.get("type") == "BASE_TABLE" and _LIKE_A_FILE.search(str(node.get("table_name", ""))):
        raise QueryError(f"{node['table_name']} looks like a file; only tables and views can be asked")
