"""The part of the configuration that commands need; reading it is config's business."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tracker.config import Config, Loaded, Service, load
from tracker.errors import ConfigError
from tracker.sinks.registry import ASKERS


def load_config(path: Path, overrides: Mapping[str, str] | None = None) -> Config:
    """The configuration for a command, without its warnings: the server said them. Raises ConfigError."""
    return load(path, os.environ, overrides or {}).config


def load_and_warn(path: Path, overrides: Mapping[str, str], environment: Mapping[str, str]) -> Loaded:
    """The configuration, its warnings on standard error. Raises ConfigError."""
    loaded = load(path, environment, overrides)
    for warning in loaded.warnings:
        print(f"tracker: warning: {warning}", file=sys.stderr)
    return loaded


def store_to_ask(config: Config, name: str, *, is_only: bool = False) -> Service:
    """The store of this name, or the only one of this service; '' means the first. Raises ConfigError.

    `is_only`: '' means the one there is, for what must not happen to another.
    """
    stores = [service for service in config.sinks if service.service in ASKERS]
    if not stores:
        raise ConfigError(f"no store in Notify can answer questions; configure one of {', '.join(ASKERS)}")
    names = ", ".join(store.name for store in stores)
    if not name and is_only and len(stores) > 1:
        raise ConfigError(f"say which store, --store NAME; there are: {names}")
    if not name:
        return stores[0]
    named = [store for store in stores if store.name == name]
    found = named or [store for store in stores if store.service == name]
    if len(found) == 1:
        return found[0]
    raise ConfigError(f"{'several stores are' if found else 'no store is'} called {name}; there are: {names}")
