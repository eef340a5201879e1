"""An edit of dead letters: a JSON Patch (RFC 6902) that is tried on each row, and what may come out of it.

Rows stay what they are: the same key, columns of the catalogue, values that fit them. Nothing is stored here.
"""

from typing import Any

import orjson

from tracker.batching.row_check import problem_of
from tracker.errors import TrackerError
from tracker.parts import table_of
from tracker.tables import CATALOGUE

MOST_BYTES = 8 * 1024 * 1024
"""What an edited row may have after each `copy`: a few of them could double it again and again."""
_NEEDS = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}


class BadEdit(TrackerError):
    """The edit cannot be used on any row; the message says why."""


class Unedited(TrackerError):
    """This row cannot be edited so: it stays as it was. The message says why."""


class Edit:
    """A patch, as its text. Raises BadEdit when it is none."""

    def __init__(self, text: str) -> None:
        # Loaded here: few ever edit, and everybody else's start need not wait for it.
        from jsonpatch import JsonPatch, JsonPatchException
        from jsonpointer import JsonPointerException

        self._failures = (JsonPatchException, JsonPointerException)
        try:
            operations = orjson.loads(text)
            self._steps = [JsonPatch([operation]) for operation in JsonPatch(operations)]
        except orjson.JSONDecodeError as error:
            raise BadEdit(f"the edit is not JSON: {error}") from error
        except self._failures as error:
            raise BadEdit(f"the edit is no JSON Patch: {error}") from error
        for operation in operations:
            needed = _NEEDS.get(operation["op"])
            if needed and needed not in operation:
                raise BadEdit(f"the edit is no JSON Patch: {operation['op']} needs {needed!r}")

    def apply(self, table: str, line: bytes) -> bytes:
        """The edited line; the same bytes when nothing was changed. Raises Unedited."""
        row, table = _object(line), table_of(table)
        try:
            edited = self._edited(row)
        except self._failures as error:
            raise Unedited(f"the edit does not fit the row: {error}") from error
        if problem := problem_of(table, edited) or _changed_key(table, row, edited):
            raise Unedited(problem)
        return line if edited == row else orjson.dumps(edited)

    def _edited(self, row: dict[str, Any]) -> Any:
        edited: Any = row
        for step in self._steps:
            edited = step.apply(edited)
            is_copy = step.patch[0]["op"] == "copy"
            if is_copy and len(orjson.dumps(edited)) > max(MOST_BYTES, len(orjson.dumps(row))):
                raise Unedited(f"the edited row would have more than {MOST_BYTES:,} bytes")
        return edited


def _object(line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Unedited("the row is not JSON") from error
    if not isinstance(row, dict):
        raise Unedited("the row is not a JSON object")
    return row


def _changed_key(table: str, row: dict[str, Any], edited: dict[str, Any]) -> str:
    """The key makes a row what it is: with another one it would be another row."""
    changed = [name for name in CATALOGUE[table].key if row.get(name) != edited.get(name)]
    return f"column {changed[0]}: a key must stay as it is" if changed else ""
