"""What may be typed after `python -m tracker forget` and `export`, turned into an action; runs nothing."""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from tracker.commands.arguments import command, json_flag
from tracker.commands.parsing_spool import Action


def parse_forget(arguments: Sequence[str]) -> Action:
    """The action of `forget`."""
    parser = command("forget", "Erase everything of one person, wherever it is, and keep a receipt.")
    who = _who(parser)
    who.add_argument("--receipt", metavar="ID", help="show an earlier receipt instead")
    parser.add_argument(
        "--keep", default="", metavar="TABLES", help="leave these alone, as in payments,agreed"
    )
    parser.add_argument("--dry-run", action="store_true", help="only count what there is")
    json_flag(parser)
    typed = parser.parse_args(arguments)

    from tracker.commands import persons

    if typed.receipt is not None:
        return partial(persons.receipt, typed.config, typed.receipt, is_json=typed.json)
    said = _said(typed) | {"keep": [one.strip() for one in typed.keep.split(",") if one.strip()]}
    return partial(persons.forget, typed.config, said | {"dry_run": typed.dry_run}, is_json=typed.json)


def parse_export(arguments: Sequence[str]) -> Action:
    """The action of `export`."""
    parser = command("export", "Write everything of one person as lines of JSON: place, table, row.")
    _who(parser)
    parser.add_argument("--output", default="-", metavar="FILE", help="default standard output")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    typed = parser.parse_args(arguments)

    from tracker.commands import persons

    return partial(persons.export, typed.config, _said(typed), typed.output, is_forced=typed.force)


def _who(parser: argparse.ArgumentParser) -> Any:
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--vid", metavar="ID", help="a visitor, in any form in which the id was sent")
    who.add_argument("--uid", metavar="ID", help="a user, and the visitors it was seen as")
    who.add_argument("--email", metavar="ADDRESS", help="the visitors this address was last seen with")
    parser.add_argument("--oid", metavar="ID", help="only what is an organisation's")
    return who


def _said(typed: argparse.Namespace) -> dict[str, Any]:
    named = {name: getattr(typed, name) for name in ("vid", "uid", "email", "oid")}
    return {name: value for name, value in named.items() if value is not None}
