"""Which rows of a batch a table can never take, and why. It runs only after a batch has failed.

DuckDB's own line numbers are approximate, so three means follow one another: what can be seen on the bytes,
one query per thousand rows that tries every column by the reader's own casts, and halving for what is left.
"""

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import duckdb

from tracker.sinks.duckdb_errors import DATA_ERRORS
from tracker.sinks.duckdb_rows import TYPES, columns_of, literal
from tracker.tables import Kind, Table

MOST_TRIALS = 200
"""Trial loads in one search. Rows named until then are an answer: the others come again as a new batch."""

_ROWS_PER_QUERY = 1000
_BYTES_PER_QUERY = 1 << 20
_MOST_CHARACTERS = 80
_ALWAYS_FIT = (Kind.TEXT, Kind.LABEL, Kind.JSON)

TryLoading = Callable[[Sequence[bytes]], str | None]
"""Load these lines and take it back: why they do not fit, None when they do; other errors are raised."""


def find_guilty(
    connection: duckdb.DuckDBPyConnection, table: Table, lines: Sequence[bytes], try_loading: TryLoading
) -> dict[int, str]:
    """Position of each row that can never be stored and the reason; values are cut at 80 characters.

    Empty when every line fits alone and together. Raises duckdb.Error for what is not about rows.
    """
    by_bytes = _by_bytes(lines)
    reasons = dict(by_bytes)
    for chosen in _chunks(lines, by_bytes):
        reasons |= _by_columns(connection, table, {row: lines[row].decode() for row in chosen})
    rest = [row for row in range(len(lines)) if row not in reasons]
    return dict(sorted((reasons | _by_halves(lines, rest, try_loading)).items()))


def _chunks(lines: Sequence[bytes], known: Container[int]) -> Iterator[list[int]]:
    """Rows for one query each, few and small enough for little memory; too long ones are left to halving."""
    chosen: list[int] = []
    size = 0
    for row, line in enumerate(lines):
        if row in known or len(line) > _BYTES_PER_QUERY:
            continue
        if len(chosen) == _ROWS_PER_QUERY or size + len(line) > _BYTES_PER_QUERY:
            yield chosen
            chosen, size = [], 0
        chosen.append(row)
        size += len(line)
    yield chosen


def _by_bytes(lines: Sequence[bytes]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for row, line in enumerate(lines):
        if not line.strip():
            reasons[row] = "empty line"
            continue
        try:
            line.decode()
        except UnicodeDecodeError as error:
            reasons[row] = f"not UTF-8 at byte {error.start}"
    return reasons


def _by_columns(
    connection: duckdb.DuckDBPyConnection, table: Table, texts: Mapping[int, str]
) -> dict[int, str]:
    """Rows that are no object of known keys, or have a value that its column cannot take."""
    if not texts:
        return {}
    try:
        found = connection.execute(_columns_query(table), [list(texts), list(texts.values())]).fetchall()
    except DATA_ERRORS:
        return {}  # a document no JSON function can take, as one nested too deeply: halving finds it
    return {row: _reason(table, texts[row], *finding) for row, *finding in found}


def _columns_query(table: Table) -> str:
    """Number, is it JSON, an object, its unknown keys, is a key given twice, columns that do not convert."""
    known = ", ".join(literal(column.name) for column in table.columns)
    failed = ", ".join(
        f"CASE WHEN cast_doc.{column.name} IS NULL AND json_type(doc, '$.{column.name}') <> 'NULL' "
        f"THEN '{column.name}' END"
        for column in table.columns
        if column.kind not in _ALWAYS_FIT
    )
    return f"""
        WITH line AS (SELECT unnest(?::BIGINT[]) AS i, unnest(?::VARCHAR[]) AS line),
        parsed AS (
            SELECT i, json_valid(line) AS is_json,
                CASE WHEN json_valid(line) THEN line ELSE 'null' END::JSON AS doc FROM line
        ),
        judged AS (
            SELECT i, is_json, json_type(doc) = 'OBJECT' AS is_object, json_keys(doc) AS keys, doc,
                json_transform(doc, {literal(columns_of(table).replace("'", '"'))}) AS cast_doc FROM parsed
        ),
        found AS (
            SELECT i, is_json, is_object,
                list_filter(keys, lambda k: NOT list_contains([{known}], k)) AS unknown,
                len(list_distinct(keys)) < len(keys) AS is_double,
                list_filter([{failed}], lambda c: c IS NOT NULL) AS failed FROM judged
        )
        SELECT * FROM found
        WHERE NOT is_json OR NOT is_object OR len(unknown) > 0 OR is_double OR len(failed) > 0
    """  # noqa: S608 (names of the catalogue; the rows are parameters)


def _reason(
    table: Table,
    text: str,
    is_json: bool,
    is_object: bool,
    unknown: Sequence[str],
    is_double: bool,
    failed: Sequence[str],
) -> str:
    if not is_json:
        return "not JSON"
    if not is_object:
        return "not a JSON object"
    if unknown:
        return f"column {_cut(unknown[0])}: table {table.name} has no such column"
    if is_double:
        return "a key is given twice"
    value = json.dumps(_value(text, failed[0]), ensure_ascii=False)
    return f"column {failed[0]}: cannot convert {_cut(value)} to {TYPES[table.kinds()[failed[0]]]}"


def _value(text: str, name: str) -> Any:
    try:
        return json.loads(text)[name]
    except (ValueError, RecursionError):
        return (
            "?"  # DuckDB reads a little more than the standard; the reason stays, only the value is missing
        )


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _by_halves(lines: Sequence[bytes], rows: list[int], try_loading: TryLoading) -> dict[int, str]:
    reasons: dict[int, str] = {}
    waiting = [rows] if rows else []
    trials = 0
    while waiting and trials < MOST_TRIALS:
        part = waiting.pop()
        trials += 1
        reason = try_loading([lines[row] for row in part])
        if reason is not None and len(part) == 1:
            reasons[part[0]] = reason
        elif reason is not None:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
    return reasons
