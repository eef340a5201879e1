"""The command line without a command: serve, or `--check`, or `--print-config`."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tracker.commands.settings import load_and_warn
from tracker.config import load, masked


def serve(
    config_file: Path,
    overrides: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    take_over: bool = False,
) -> int:
    """Run the server, which logs the warnings, until it is told to stop. Raises ConfigError.

    With `take_over` in place of the one that runs, if one does.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # nothing is open yet; the server hears it later
    loaded = load(config_file, environment, overrides)

    from tracker.process import run  # brings every part of the server with it

    return run(loaded.config, loaded.warnings, take_over=take_over)


def print_config(config_file: Path, overrides: Mapping[str, str], environment: Mapping[str, str]) -> int:
    """Print what is in force, secrets masked. Raises ConfigError."""
    loaded = load_and_warn(config_file, overrides, environment)
    print(json.dumps(masked(loaded.config), indent=2, ensure_ascii=False))
    return 0
