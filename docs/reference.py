"""Writes configuration.md, metrics.md and tables.md from the code they describe: `make docs`.

A test compares the files with what this program makes, so they cannot drift.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import duckdb
from prometheus_client import CollectorRegistry

from tracker.config import NOT_YET, REPLACED, KnownKey, known_keys
from tracker.metrics import Metrics
from tracker.scrape.prometheus import FAMILIES
from tracker.sinks.migrations import read_migrations
from tracker.sinks.registry import SCHEMA
from tracker.tables import CATALOGUE, VIEWS, Column

FOLDER = Path(__file__).parent


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _key_row(key: KnownKey) -> tuple[object, ...]:
    notes = [key.meaning]
    if key.other_names:
        notes.append(f"also {', '.join(f'`{name}`' for name in key.other_names)}")
    if key.is_secret:
        notes.append("secret")
    if key.path in NOT_YET:
        notes.append("**accepted, without effect yet**")
    if key.path in REPLACED:
        notes.append(f"**accepted, without effect**: {REPLACED[key.path]}")
    default = "" if key.default in (None, ..., "") else f"`{json.dumps(key.default, default=str)}`"
    return f"`{key.path}`", default, key.expects, "; ".join(notes)


def configuration() -> str:
    """Every key of config.json."""
    return (
        "# Configuration\n\n"
        "Every key of `config.json`, written by `make docs`. `Notify[]` stands for each entry of the list, "
        "`<table>` for `default` or a table's name.\n"
        "From the environment: `TRACKER_` and the path in upper case, `.` as `__`, the entry's number for "
        "`[]` (`TRACKER_NOTIFY__0__CONTEXT`); a secret's variable may end in `_FILE` and name a file.\n\n"
        "For a batch the first place that says something wins: the table's own entry in `Batching`, the "
        "sink's entry in `Notify`, `Batching.default`, the default of that table in the original, hybrid "
        "with 1,000 rows, 2 s and 8 MiB.\n\n"
        + _table(("key", "default", "expected", "meaning"), map(_key_row, known_keys()))
    )


def metrics() -> str:
    """Every metric of /metrics."""
    registry = CollectorRegistry()
    Metrics(registry, "")
    counted = [
        (f"`{family.name}{'_total' if family.type == 'counter' else ''}`", family.type, family.documentation)
        for family in registry.collect()
    ]
    state = [
        (
            f"`{name}`",
            "counter" if name.endswith("_total") else "gauge",
            f"{text}; by {', '.join(labels)}" if labels else text,
        )
        for name, (text, labels) in FAMILIES.items()
    ]
    return (
        "# Metrics\n\nEvery family of `/metrics?format=prometheus`, written by `make docs`.\n\n"
        "## Counted by the process since it started\n\n"
        + _table(("metric", "type", "meaning"), counted)
        + "\n## Read at each scrape\n\n"
        "The `rows` families come from the spool's own transactions and go on over restarts and kills.\n\n"
        + _table(("metric", "type", "meaning"), state)
    )


def _default_of(column: Column) -> str:
    return "" if column.special is None else f"; `{column.special}` unless given"


def _view_rows() -> Iterable[tuple[object, ...]]:
    with duckdb.connect() as database:
        for migration in read_migrations(SCHEMA / "duckdb"):
            database.execute(migration.sql)
        for name, meaning in VIEWS.items():
            columns = [f"`{column[0]}`" for column in database.execute(f"DESCRIBE {name}").fetchall()]
            yield f"`{name}`", meaning, ", ".join(columns)


def tables() -> str:
    """Every table of the catalogue, and the views over them."""
    parts = [
        "# Tables\n\nThe catalogue of `tracker/tables`, written by `make docs`. DuckDB and ClickHouse have "
        "the same tables and views. No column is ever NULL.\n"
    ]
    for table in CATALOGUE.values():
        replaced = f"; the latest `{table.version}` of a key stays" if table.version else ""
        key = ", ".join(f"`{name}`" for name in table.key)
        meaning = f"{table.meaning[0].upper()}{table.meaning[1:]}"
        parts.append(f"\n## {table.name}\n\n{meaning}. Key: {key}{replaced}.\n\n")
        rows = (
            (f"`{column.name}`", column.kind.value, column.meaning + _default_of(column))
            for column in table.columns
        )
        parts.append(_table(("column", "type", "meaning"), rows))
    parts.append("\n## Views\n\n" + _table(("view", "meaning", "columns"), _view_rows()))
    return "".join(parts)


PAGES = {"configuration.md": configuration, "metrics.md": metrics, "tables.md": tables}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
