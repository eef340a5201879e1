"""The part of the configuration that commands need; reading it is config's business."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tracker.config import Config, Loaded, load
from tracker.errors import ConfigError


def load_config(path: Path, overrides: Mapping[str, str] | None = None) -> Config:
    """The configuration for a command, without its warnings: the server said them. Raises ConfigError."""
    return load(path, os.environ, overrides or {}).config


def load_and_warn(path: Path, overrides: Mapping[str, str], environment: Mapping[str, str]) -> Loaded:
    """The configuration, its warnings on standard error. Raises ConfigError."""
    loaded = load(path, environment, overrides)
    for warning in loaded.warnings:
        print(f"tracker: warning: {warning}", file=sys.stderr)
    return loaded


def duckdb_file(config: Config) -> Path:
    """The file of the first DuckDB that is switched on. Raises ConfigError when there is none."""
    for service in config.notify:
        if service.service == "duckdb" and not service.is_off:
            return Path(service.context)
    raise ConfigError("no store in Notify can answer questions; configure a duckdb one")
