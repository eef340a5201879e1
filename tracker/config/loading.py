"""From a file, the environment and flags to a `Config`: the journey, with every problem told at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from tracker.config.checks import contradictions, is_a_path, unknown_tables
from tracker.config.clickhouse import DATABASE, EMBEDDED
from tracker.config.document import read
from tracker.config.environment import assignments, with_prefix
from tracker.config.model import Config
from tracker.config.notyet import warnings_of
from tracker.config.problems import lines_of
from tracker.config.sources import Sources, merge
from tracker.errors import ConfigError

DUCKDB_FILE = "data/tracker.duckdb"
CLICKHOUSE_FOLDER = "data/clickhouse"
"""The embedded engine's."""
_CONTEXTS = {"duckdb": DUCKDB_FILE, "clickhouse": DATABASE}
"""DuckDB's file when `Context` is not given."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used."""

    config: Config
    warnings: tuple[str, ...]
    """What was asked for and does not happen yet, one line each."""


def load(path: Path, environ: Mapping[str, str], overrides: Mapping[str, str] = _NOTHING) -> Loaded:
    """Read the file, lay the environment's TRACKER_ variables upon it, then `overrides` (the same names, the
    prefix may be left out).

    Raises ConfigError: every problem found, one line each; never with a secret in it.
    """
    document = read(path)
    problems: list[str] = []
    layers = [assignments(environ, problems), assignments(with_prefix(overrides), problems)]
    tree, sources = merge(document, layers, problems)
    problems.extend(sources.say(place, what) for place, what in unknown_tables(tree))
    config = _validated(_completed(tree, _folder(path)), path, sources, problems)
    if problems or config is None:
        raise ConfigError("\n".join(problems))
    return Loaded(config, tuple(warnings_of(config, tree, sources, environ)))


def _validated(tree: dict[str, Any], path: Path, sources: Sources, problems: list[str]) -> Config | None:
    try:
        config = Config.model_validate(tree, context=_folder(path))
    except ValidationError as error:
        problems.extend(lines_of(error, sources))
        return None
    problems.extend(sources.say(place, what) for place, what in contradictions(config))
    return config


def _folder(path: Path) -> Path:
    return path.absolute().parent


def _completed(tree: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The tree with what follows from other keys written out."""
    complete = dict(tree)
    if isinstance(tree.get("Notify"), list):
        complete["Notify"] = [_named(entry, folder) for entry in tree["Notify"]]
    log = tree.get("Log", {})
    if tree.get("Debug") is True and isinstance(log, dict):
        complete["Log"] = {"Level": "debug", **log}
    return complete


def _named(entry: Any, folder: Path) -> Any:
    """A sink's name is made from `Context` as it is written: a folder that moves keeps its sinks."""
    service = entry.get("Service") if isinstance(entry, dict) else None
    if not isinstance(service, str):
        return entry
    is_embedded = service == "clickhouse" and entry.get("Hosts") == [EMBEDDED]
    context = entry.get("Context") or (CLICKHOUSE_FOLDER if is_embedded else _CONTEXTS.get(service, ""))
    if not isinstance(context, str):
        return entry
    is_file = (service == "duckdb" or is_embedded) and is_a_path(context)
    name = entry.get("Name") or f"{service}:{context}"
    return {**entry, "Name": name, "Context": str(folder / context) if is_file else context}
