"""The SQL that turns sent rows into rows of a table, made from the catalogue. It runs nothing."""

from collections.abc import Sequence
from pathlib import Path

from tracker.sinks.ndjson import COMMON_BYTES
from tracker.tables import Column, Kind, Table

TYPES = {
    Kind.UUID: "UUID",
    Kind.TEXT: "VARCHAR",
    Kind.LABEL: "VARCHAR",
    Kind.INT8: "TINYINT",
    Kind.INT16: "SMALLINT",
    Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT",
    Kind.UINT32: "UINTEGER",
    Kind.UINT64: "UBIGINT",
    Kind.FLOAT64: "DOUBLE",
    Kind.DECIMAL: "DECIMAL(38,9)",
    Kind.BOOL: "BOOLEAN",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.NANOTIME: "TIMESTAMP_NS",
    Kind.DATE: "DATE",
    Kind.JSON: "JSON",
    Kind.TEXTS: "VARCHAR[]",
    Kind.UUIDS: "UUID[]",
}
"""Type of each kind of column. Times are UTC without a zone: `created_at > now() - INTERVAL 1 DAY` works."""


DOCUMENTS = (Kind.JSON, Kind.TEXTS, Kind.UUIDS)
"""Kinds whose values are JSON in a row; as parameters they are the text of it."""


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def reader(file: Path, columns: str, *, records: bool = True) -> str:
    """The JSON reader over one file of lines up to `ndjson.COMMON_BYTES`, as a table in a FROM clause.

    It takes twice a line's most bytes of memory before it starts.
    """
    return (
        f"read_json({literal(str(file))}, format='newline_delimited', compression='uncompressed', "
        f"records={str(records).lower()}, auto_detect=false, maximum_object_size={COMMON_BYTES}, "
        f"columns={columns})"
    )


def columns_of(table: Table) -> str:
    """Name and type of every column, as the reader takes them."""
    return "{" + ", ".join(f"'{column.name}': '{TYPES[column.kind]}'" for column in table.columns) + "}"


def count_rows(table: Table, file: Path) -> str:
    """How many rows the reader finds."""
    return f"SELECT count(*) FROM {reader(file, columns_of(table))}"  # noqa: S608 (names of the catalogue)


def count_rows_with_other_keys(table: Table, file: Path) -> str:
    """How many rows have a key that is no column, which the reader would drop without a word."""
    source = reader(file, "{line: 'JSON'}", records=False)
    known = ", ".join(literal(column.name) for column in table.columns)
    return f"SELECT count(*) FROM {source} WHERE NOT list_has_all([{known}], json_keys(line))"  # noqa: S608 (as above)


def insert_file(table: Table, file: Path) -> str:
    """Every row of the file, what it leaves out at its default; where a table keeps that, a key's latest."""
    return _insert(table, reader(file, columns_of(table)), list(table.kinds()))


def insert_one(table: Table, names: Sequence[str]) -> str:
    """One row whose values for these columns are parameters, as text."""
    kinds = table.kinds()
    values = ", ".join(f"{_parameter(kinds[name])} AS {name}" for name in names) or "1"
    return _insert(table, f"(SELECT {values})", names)


def _parameter(kind: Kind) -> str:
    return f"?::JSON::{TYPES[kind]}" if kind in DOCUMENTS else f"?::{TYPES[kind]}"


def _insert(table: Table, source: str, names: Sequence[str]) -> str:
    filled = ", ".join(_filled(column, column.name in names) for column in table.columns)
    rows = f"SELECT {filled} FROM {source}"  # noqa: S608 (names of the catalogue)
    if table.version is None:
        return f"INSERT INTO {table.name} {rows}"
    return f"INSERT INTO {table.name} {_latest(table, rows)} {_replacing(table)}"


def _filled(column: Column, is_given: bool) -> str:
    default = column.default
    text = literal(default) if isinstance(default, str) else str(default).lower()
    if is_given:
        return f"coalesce({column.name}, {text}) AS {column.name}"
    return f"{text}::{TYPES[column.kind]} AS {column.name}"


def _latest(table: Table, rows: str) -> str:
    """One row of each key: that of the latest version, of equal ones the last in the file."""
    names, key = ", ".join(table.kinds()), ", ".join(table.key)
    placed = f"SELECT *, row_number() OVER () AS place FROM ({rows})"  # noqa: S608 (names of the catalogue)
    order = f"ORDER BY {table.version} DESC, place DESC"
    return f"SELECT {names} FROM ({placed}) QUALIFY row_number() OVER (PARTITION BY {key} {order}) = 1"  # noqa: S608 (as above)


def _replacing(table: Table) -> str:
    """As ClickHouse's ReplacingMergeTree does it: of equal versions the one that came last stays."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in table.kinds() if name not in table.key)
    is_as_late = f"excluded.{table.version} >= {table.name}.{table.version}"
    return f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes} WHERE {is_as_late}"
