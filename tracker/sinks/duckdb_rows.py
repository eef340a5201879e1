"""The SQL that turns sent rows into rows of a table, made from the catalogue. It runs nothing."""

from collections.abc import Sequence
from pathlib import Path

from tracker.sinks.ndjson import COMMON_BYTES
from tracker.tables import DEFAULTS, Column, Kind, Table

TYPES = {
    Kind.UUID: "UUID",
    Kind.TEXT: "VARCHAR",
    Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT",
    Kind.UINT64: "UBIGINT",
    Kind.FLOAT64: "DOUBLE",
    Kind.BOOL: "BOOLEAN",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.NANOTIME: "TIMESTAMP_NS",
    Kind.DATE: "DATE",
    Kind.JSON: "JSON",
}
"""Type of each kind of column. Times are UTC without a zone: `created_at > now() - INTERVAL 1 DAY` works."""


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
    values = ", ".join(f"?::{TYPES[kinds[name]]} AS {name}" for name in names) or "1"
    return _insert(table, f"(SELECT {values})", names)


def _insert(table: Table, source: str, names: Sequence[str]) -> str:
    filled = ", ".join(_filled(column, column.name in names) for column in table.columns)
    rows = f"SELECT {filled} FROM {source}"  # noqa: S608 (names of the catalogue)
    if table.version is None:
        return f"INSERT INTO {table.name} {rows}"
    return f"INSERT INTO {table.name} {_latest(table, rows)} {_replacing(table)}"


def _filled(column: Column, is_given: bool) -> str:
    default = DEFAULTS[column.kind]
    text = literal(default) if isinstance(default, str) else str(default).lower()
    if is_given:
        return f"coalesce({column.name}, {text}) AS {column.name}"
    return f"{text}::{TYPES[column.kind]} AS {column.name}"


def _rank(table: Table) -> list[str]:
    """Columns by which one row of a key beats another: the version, then the rest, so that no tie is left."""
    rest = [name for name in table.kinds() if name not in (*table.key, table.version)]
    return [str(table.version), *rest]


def _latest(table: Table, rows: str) -> str:
    order = ", ".join(f"{name} DESC" for name in _rank(table))
    key = ", ".join(table.key)
    return f"FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1"


def _replacing(table: Table) -> str:
    rank = _rank(table)
    changes = ", ".join(f"{name} = excluded.{name}" for name in rank)
    new = ", ".join(f"excluded.{name}" for name in rank)
    old = ", ".join(f"{table.name}.{name}" for name in rank)
    key = ", ".join(table.key)
    return f"ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE row({new}) > row({old})"
