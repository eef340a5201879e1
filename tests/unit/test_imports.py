"""The layering of docs/architecture.md, kept true by reading every module's imports."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "tracker"
LEAVES = {"errors", "parts", "events", "tables", "clock", "metrics", "stopping", "tuning"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "events": set(),
    "tables": set(),
    "clock": set(),
    "metrics": set(),
    "logs": set(),
    "stopping": set(),
    "tuning": set(),
    "keys_on_disk": set(),
    "parts": set(),
    "steps": LEAVES,
    "batching": LEAVES | {"sinks.base"},
    "sinks": LEAVES,
    "agreed": LEAVES,
    "pipeline": LEAVES | {"agreed", "steps"},
    "records": LEAVES | {"sinks.base"},
    "geo": LEAVES,
    "persons": LEAVES | {"steps"},
    "retention": LEAVES | {"sinks.base", "sinks.pruning"},
    "config": {"errors", "tables"},
    "scrape": LEAVES,
    "web": LEAVES | {"pipeline", "records", "steps"},
}
"""Part of the tracker -> parts it may import beside itself. What wires parts together knows all."""
WIRING = {
    *("app", "cli", "commands", "erasing", "health", "lookups"),
    *("process", "protection", "retaining", "settings", "__main__", "__init__"),
}
DRIVERS = {
    "chdb": "sinks/clickhouse",
    "clickhouse_connect": "sinks/clickhouse",
    "duckdb": "sinks/duckdb",
    "sqlite3": "batching",
    "aiohttp.web": "web",
    "maxminddb": "geo/mmdb",
    "IP2Location": "geo/ip2location",
}
"""A driver's module -> the only place, beside app.py, that may import it."""

MODULES = sorted(ROOT.rglob("*.py"))


@cache
def imported(path: Path) -> set[str]:
    """Every module that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part_of(path: Path) -> str:
    """The part of the tracker a file belongs to: a folder or a module of the top level."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def is_module(name: str) -> bool:
    """Whether a dotted name is a file or a folder of them, not something inside a file."""
    place = ROOT.parent / name.replace(".", "/")
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def is_allowed(name: str, part: str) -> bool:
    """Whether a module of this part may import this name of the tracker."""
    inner = name.removeprefix("tracker").removeprefix(".")
    own = inner == part or inner.startswith(f"{part}.")
    return not inner or own or any(inner == one or inner.startswith(f"{one}.") for one in ALLOWED[part])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    part = part_of(path)
    if part in WIRING:
        return
    ours = {name for name in imported(path) if name.split(".")[0] == "tracker"}
    assert {name for name in ours if is_module(name) and not is_allowed(name, part)} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_driver_is_imported_only_where_it_is_used(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for driver, home in DRIVERS.items():
        if driver in imported(path) and place != "app.py":
            assert place.startswith(home), f"{place} imports {driver}"
