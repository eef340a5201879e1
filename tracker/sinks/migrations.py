"""Numbered SQL files of a store: which there are, and which are still to be applied.

Running them and remembering what was run is the store's own business, each in its dialect.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import ConfigError

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0001_tables.sql`."""

    number: int
    name: str
    sql: str
    digest: str
    """SHA-256 of its bytes in hex: an applied file must stay as it was."""


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """Every `NNNN_name.sql` of a folder in order. Raises ConfigError for none, a gap, a double."""
    files = sorted(path for path in folder.glob("*.sql") if _NAME.fullmatch(path.name))
    if not files:
        raise ConfigError(f"{folder}: no numbered SQL file (0001_name.sql) is there")
    found = tuple(_read(path) for path in files)
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise ConfigError(f"{folder}: {migration.name} should have the number {expected:04d}")
    return found


def _read(path: Path) -> Migration:
    data = path.read_bytes()
    return Migration(int(path.name[:4]), path.name, data.decode("utf-8"), hashlib.sha256(data).hexdigest())


def pending(found: Sequence[Migration], applied: Mapping[int, str]) -> tuple[Migration, ...]:
    """Those of `found` whose number is not among `applied` (number to digest), in order.

    Raises ConfigError when an applied file has changed, or when the store knows a number that has no file.
    """
    unknown = sorted(set(applied) - {migration.number for migration in found})
    if unknown:
        raise ConfigError(
            f"the store has migration {unknown[0]:04d}, which this version does not know; use a newer version"
        )
    for migration in found:
        if applied.get(migration.number, migration.digest) != migration.digest:
            raise ConfigError(
                f"{migration.name} was changed after it was applied to the store; "
                "restore the file and put the change into a new number"
            )
    return tuple(migration for migration in found if migration.number not in applied)
