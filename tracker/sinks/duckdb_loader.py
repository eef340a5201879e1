"""Rows into a table by DuckDB's own JSON reader, inside the caller's transaction.

The reader works on 2,048 rows at a time and takes about sixteen times their bytes. Rows of usual size go in
at once; larger ones in pieces, so that a small limit of memory is enough; one above a MiB by parameters.
"""

import json
from pathlib import Path

import duckdb

from tracker.sinks import duckdb_rows, ndjson
from tracker.tables import Kind, Table

SAMPLED_ROWS = 64
"""Rows of a large batch whose keys are compared with the columns (see `Loader.check_keys`)."""

USUAL_BYTES = 1200
"""Mean bytes of a row up to which a batch goes in at once."""

PIECE_BYTES = ndjson.COMMON_BYTES


class WrongRows(Exception):
    """The rows are not what they were announced to be; the message says how, without their values."""


class Loader:
    """Loads over one connection; files go by way of the hand-over folder."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, handover: Path) -> None:
        self._connection = connection
        self._handover = handover
        self._checked: set[str] = set()
        self._distrusted: set[str] = set()

    def load(self, table: Table, data: bytes, rows: int, *, is_careful: bool = False) -> None:
        """Insert every line; careful takes less memory and more time. Raises WrongRows and duckdb.Error."""
        if is_careful or _is_heavy(data, rows):
            found = sum(self._load_piece(table, piece) for piece in ndjson.pieces(data, PIECE_BYTES))
        else:
            found = self._load_file(table, data)
        if found != rows:
            raise WrongRows(f"{rows} rows announced, {found} found")

    def check_keys(self, table: Table, data: bytes, rows: int, *, is_repeat: bool) -> None:
        """Raise WrongRows for a key that is no column: the reader would drop it without a word.

        Looking at every row costs a third of the insert, and such a key can only come from another version's
        rows. So every row is looked at in a table's first batch after opening, in repeats, in small batches,
        and from the first such key on; else a sample.
        """
        in_full = is_repeat or table.name not in self._checked or table.name in self._distrusted
        self._checked.add(table.name)
        if self._has_other_keys(table, data, rows, in_full):
            self._distrusted.add(table.name)
            raise WrongRows(f"rows have keys that are no columns of table {table.name}")

    def _has_other_keys(self, table: Table, data: bytes, rows: int, in_full: bool) -> bool:
        names = table.kinds().keys()
        if in_full and rows > SAMPLED_ROWS and not _is_heavy(data, rows):
            with ndjson.handed_over(self._handover, data) as file:
                return self._count(duckdb_rows.count_rows_with_other_keys(table, file)) > 0
        chosen = ndjson.sample(data, rows if in_full else SAMPLED_ROWS)
        return any(ndjson.has_other_keys(line, names) for line in chosen)

    def _load_piece(self, table: Table, piece: bytes) -> int:
        if len(piece) > PIECE_BYTES:
            return self._load_one(table, piece)
        return self._load_file(table, piece)

    def _load_file(self, table: Table, data: bytes) -> int:
        with ndjson.handed_over(self._handover, data) as file:
            inserted = self._count(duckdb_rows.insert_file(table, file))
            if table.version is None:
                return inserted
            return self._count(duckdb_rows.count_rows(table, file))

    def _load_one(self, table: Table, line: bytes) -> int:
        values = _parameters(table, line)
        self._connection.execute(duckdb_rows.insert_one(table, list(values)), list(values.values()))
        return 1

    def _count(self, statement: str) -> int:
        (count,) = self._connection.execute(statement).fetchone() or (0,)
        return int(count)


def _is_heavy(data: bytes, rows: int) -> bool:
    return len(data) > max(USUAL_BYTES * rows, PIECE_BYTES) or ndjson.has_long_line(data)


def _parameters(table: Table, line: bytes) -> dict[str, str]:
    """The columns a line fills, as text that DuckDB casts."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WrongRows("not JSON") from error
    if not isinstance(values, dict):
        raise WrongRows("not a JSON object")
    other = sorted(values.keys() - table.kinds().keys())
    if other:
        raise WrongRows(f"column {other[0][:80]}: table {table.name} has no such column")
    given = {
        name: _text(values[name], kind)
        for name, kind in table.kinds().items()
        if values.get(name) is not None
    }
    if any("\ud800" <= character <= "\udfff" for text in given.values() for character in text):
        raise WrongRows("a lone surrogate is no text")
    return given


def _text(value: object, kind: Kind) -> str:
    if isinstance(value, str) and kind not in duckdb_rows.DOCUMENTS:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
