"""Each kind of column as ClickHouse's type, written as `system.columns` shows it."""

from collections.abc import Mapping
from types import MappingProxyType

from tracker.tables import Column, Kind

TYPES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.UUID: "UUID",
        Kind.TEXT: "String",
        Kind.LABEL: "LowCardinality(String)",
        Kind.INT8: "Int8",
        Kind.INT16: "Int16",
        Kind.INT32: "Int32",
        Kind.INT64: "Int64",
        Kind.UINT32: "UInt32",
        Kind.UINT64: "UInt64",
        Kind.FLOAT64: "Float64",
        Kind.DECIMAL: "Decimal(38, 9)",
        Kind.BOOL: "Bool",
        Kind.TIMESTAMP: "DateTime64(3, 'UTC')",
        Kind.NANOTIME: "DateTime64(9, 'UTC')",
        Kind.DATE: "Date",
        Kind.JSON: "JSON(max_dynamic_paths=0)",
        Kind.TEXTS: "Array(String)",
        Kind.UUIDS: "Array(UUID)",
    }
)
"""Documents keep all paths in one place: otherwise each path is files of its own, and keys that strangers
choose would open more files than a process may, so that their batch could never be stored.

Each type's own default is the kind's: zero, empty, false, 1970, `{}`."""


def default_expression(column: Column) -> str:
    """The column's DEFAULT as `system.columns` shows it, '' where its type's own serves."""
    if column.special is None:
        return ""
    return f"'{column.special}'" if isinstance(column.special, str) else str(column.special)
