"""The rows of `jurisdictions` that every store begins with, from schema/jurisdictions.json.

Each store puts in what it lacks when it is opened, as it does with its tables; later rows of a person's own
stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

_KEPT = ("regulation", "compliance", "seq", "rules", "locs")


Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Seed:
    """Rows by their key, each one line of JSON, all of one version."""

    updated_at: str
    lines: Mapping[Key, bytes]


def read_seed(folder: Path) -> Seed | None:
    """The rows for a store whose numbered SQL lies in `folder`; None where no file is beside it.

    Raises OSError and ValueError.
    """
    file = folder.parent / "jurisdictions.json"
    if not file.exists():
        return None
    shipped = orjson.loads(file.read_bytes())
    updated_at = shipped["updated_at"]
    rows = [{name: row[name] for name in _KEPT} | {"updated_at": updated_at} for row in shipped["rows"]]
    lines = {(row["regulation"], row["compliance"], row["seq"]): orjson.dumps(row) for row in rows}
    return Seed(updated_at, lines)
