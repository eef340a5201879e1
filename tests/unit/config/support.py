"""Writing a configuration file and reading it, as the tests of this folder do it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tracker.config import Config, Loaded, load
from tracker.errors import ConfigError

DUCKDB = {"Service": "duckdb", "Context": "data/tracker.duckdb"}


def load_text(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Loaded:
    file = folder / "config.json"
    file.write_text(text, encoding="utf-8")
    return load(file, environ or {})


def load_data(folder: Path, data: Any, environ: Mapping[str, str] | None = None) -> Loaded:
    return load_text(folder, json.dumps(data, indent=1), environ)


def config_of(folder: Path, data: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    return load_data(folder, data, environ).config


def warnings_of(folder: Path, data: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> list[str]:
    """The warnings, without the file's folder."""
    loaded = load_data(folder, {"Notify": [DUCKDB], **data}, environ)
    return [warning.replace(f"{folder}/", "") for warning in loaded.warnings]


def errors_of(folder: Path, data: Any, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines of the ConfigError, without the file's folder."""
    text = data if isinstance(data, str) else json.dumps(data, indent=1)
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text, environ)
    return str(caught.value).replace(f"{folder}/", "").split("\n")
