"""What may be typed after `python -m tracker backup` and `restore`, turned into an action; runs nothing."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tracker.commands.arguments import command
from tracker.commands.parsing_spool import Action


def parse_backup(arguments: Sequence[str]) -> Action:
    """The action of `backup`."""
    typed = _copied("backup", "Copy a store into a new or empty folder; a server may run.", arguments)

    from tracker.commands import backup

    return partial(backup.run_backup, typed.config, typed.store, typed.folder)


def parse_restore(arguments: Sequence[str]) -> Action:
    """The action of `restore`."""
    typed = _copied("restore", "Put a copy back into its store or another one; no server may run.", arguments)

    from tracker.commands import backup

    return partial(backup.run_restore, typed.config, typed.store, typed.folder)


def _copied(name: str, text: str, arguments: Sequence[str]) -> argparse.Namespace:
    parser = command(name, text)
    parser.add_argument(
        "--store", default="", metavar="NAME", help="its name, or its service where that is enough"
    )
    parser.add_argument("places", nargs="+", type=Path, metavar="[CONFIG] FOLDER", help="the backup's folder")
    typed = parser.parse_intermixed_args(arguments)
    if len(typed.places) > 2:
        parser.error("one folder, and before it at most one configuration file")
    *config, typed.folder = typed.places
    typed.config = config[0] if config else typed.config
    return typed
