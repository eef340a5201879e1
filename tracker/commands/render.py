"""Answers as text: aligned tables for people, CSV and JSON for programs. Prints nothing itself."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_CELL = 100
"""A table's cells are cut at this many characters; CSV and JSON never are."""


def as_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns, numbers to the right, and `(n rows)` below."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(map(_width, column), default=0)
        for column in zip(*([_cell(name) for name in columns], *cells), strict=True)
    ]
    is_number = [bool(rows) and all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    lines = [
        _line([_cell(name) for name in columns], widths, [False] * len(columns)),
        "-+-".join("-" * width for width in widths),
        *(_line(row, widths, is_number) for row in cells),
        f"({len(rows)} row{'' if len(rows) == 1 else 's'})",
    ]
    return "\n".join(line.rstrip() for line in lines)


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header and one line for each row; nothing for null, JSON for lists and objects."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue().removesuffix("\n")


def as_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """One array of objects, a line each; a column's second namesake is called `name_2`."""
    names = _distinct(columns)
    objects = [to_json(dict(zip(names, row, strict=True))) for row in rows]
    return "[" + ",\n ".join(objects) + "]"


def records_as_table(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A table of objects that all have these keys."""
    return as_table(columns, [[record.get(column) for column in columns] for record in records])


def to_json(value: Any) -> str:
    """Compact JSON, Unicode as it is."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _distinct(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name, count = column, 1
        while name in names:
            count += 1
            name = f"{column}_{count}"
        names.append(name)
    return names


def _line(cells: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    return " | ".join(
        _padded(cell, width, right) for cell, width, right in zip(cells, widths, is_number, strict=True)
    )


def _padded(cell: str, width: int, is_right: bool) -> str:
    padding = " " * (width - _width(cell))
    return padding + cell if is_right else cell + padding


def _cell(value: Any) -> str:
    text = _plain(value) if value is not None else "NULL"
    visible = as_visible(text[: MAX_CELL + 1])
    return visible if len(text) <= MAX_CELL else visible[: MAX_CELL - 1] + "…"


def as_visible(text: str) -> str:
    """The text with its control characters spelt out, on one line."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    # What strangers sent must not move the cursor or recolour the terminal of whoever reads it.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return repr(character)[1:-1]
    return character


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return to_json(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _width(text: str) -> int:
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
