"""Rows of a DuckDB table as lines of JSON, the same bytes in either of two ways. Pure: it runs nothing.

DuckDB puts lines together itself where texts are short. Of long ones it would make several copies of 2,048
at once, whatever is asked for; there it is asked for the values of a few rows, which are put together here.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import orjson

from tracker.tables import CATALOGUE, Kind

_QUOTED = frozenset({Kind.UUID, Kind.TIMESTAMP, Kind.NANOTIME, Kind.DATE, Kind.DECIMAL})
_PLAIN = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT32, Kind.UINT64, Kind.BOOL})
_ESCAPE = re.compile(rb'\\\\|\\"|\\u[0-9a-f]{4}')

Row = tuple[str, ...]


def lines(table: str, columns: Sequence[str]) -> str:
    """A question whose answer is one column of lines."""
    fields = ", ',', ".join(f"'\"{name}\":', {_json(name, _kind(table, name))}" for name in columns)
    return f"SELECT concat('{{', {fields}, '}}') FROM {table}"  # noqa: S608 (names that the catalogue knows)


def values(table: str, columns: Sequence[str], first: int, end: int) -> str:
    """A question whose answer is what `line_of` takes, of the rows with these numbers."""
    fields = ", ".join(_value(name, _kind(table, name)) for name in columns)
    return f"SELECT {fields} FROM {table} WHERE rowid >= {first} AND rowid < {end}"  # noqa: S608 (as above)


def line_of(table: str, columns: Sequence[str]) -> Callable[[Row], bytes]:
    """What makes a line of the values of a row."""
    heads = [orjson.dumps(name) + b":" for name in columns]
    makers = [_MAKERS.get(_kind(table, name), str.encode) for name in columns]

    def line(row: Row) -> bytes:
        fields = (head + make(value) for head, make, value in zip(heads, makers, row, strict=True))
        return b"{" + b",".join(fields) + b"}"

    return line


def longest_text(table: str) -> str:
    """A question for the length of the longest text in any row: of what is kept beside the data, so quick."""
    return f"SELECT max(stats.max_string_length::BIGINT) FROM pragma_storage_info('{table}')"  # noqa: S608 (as above)


def row_numbers(table: str) -> str:
    """A question for how many numbers rows have; some may be missing."""
    return f"SELECT coalesce(max(rowid) + 1, 0) FROM {table}"  # noqa: S608 (as above)


def _kind(table: str, name: str) -> Kind | None:
    return CATALOGUE[table].kinds().get(name) if table in CATALOGUE else None


def _json(name: str, kind: Kind | None) -> str:
    """The column as JSON text, in SQL."""
    if kind in _QUOTED:
        return f"'\"', {name}, '\"'"
    if kind in _PLAIN:
        return name
    if kind is Kind.JSON:
        return f"replace({name}::VARCHAR, chr(10), ' ')"
    if kind is Kind.FLOAT64:
        return f"CASE WHEN isfinite({name}) THEN {name}::VARCHAR ELSE concat('\"', {name}, '\"') END"
    return f"to_json({name})"


def _value(name: str, kind: Kind | None) -> str:
    if kind in _MAKERS:
        return f"{name}::VARCHAR"
    return f"concat({_json(name, kind)})"


def _escaped(text: str) -> bytes:
    """As DuckDB writes it, which has the digits of a control character in upper case."""
    return _ESCAPE.sub(lambda found: _upper(found[0]), orjson.dumps(text))


def _upper(escape: bytes) -> bytes:
    return escape[:2] + escape[2:].upper()


def _on_one_line(document: str) -> bytes:
    return document.replace("\n", " ").encode()


_MAKERS: Mapping[Kind | None, Callable[[str], bytes]] = {
    Kind.TEXT: _escaped,
    Kind.LABEL: _escaped,
    Kind.JSON: _on_one_line,
}
"""What is made of texts that the engine would copy."""
