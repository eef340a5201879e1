"""What may be typed after `python -m tracker spool` and `dead`, turned into an action; runs nothing."""

import argparse
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tracker.commands.arguments import command, json_flag, positive, subcommand

Action = Callable[[], int | Coroutine[Any, Any, int]]

SPOOL_ACTIONS = "ls|verify|export|drop-sink"
DEAD_ACTIONS = "ls|show|replay|drop|export|release"


def parse_spool(arguments: Sequence[str]) -> Action:
    """The action of `spool`."""
    parser = command("spool", "Look into the spool.")
    actions = parser.add_subparsers(dest="action", required=True, metavar=SPOOL_ACTIONS)
    json_flag(subcommand(actions, "ls", "what waits for whom"))
    verify = subcommand(actions, "verify", "check the file and recount")
    json_flag(verify)
    export = subcommand(actions, "export", "write every row that waits, as lines of JSON")
    _target(export)
    for action in (verify, export):
        action.add_argument(
            "--file", type=Path, metavar="SPOOL", help="a spool file that was put aside, instead of the spool"
        )
    drop = subcommand(actions, "drop-sink", "give up what waits for a sink that is no longer configured")
    drop.add_argument("sink", metavar="SINK")
    return _spool_action(parser.parse_args(arguments))


def _spool_action(typed: argparse.Namespace) -> Action:
    from tracker.commands import spool

    acts: dict[str, Callable[[], Callable[..., Awaitable[int]]]] = {
        "ls": lambda: partial(spool.ls, is_json=typed.json),
        "verify": lambda: partial(spool.verify, is_json=typed.json),
        "export": lambda: partial(spool.export, target=typed.target, is_forced=typed.force),
        "drop-sink": lambda: partial(spool.drop_sink, sink=typed.sink),
    }
    act = acts[typed.action]()
    if getattr(typed, "file", None) is not None:
        return partial(spool.with_file, typed.file, act)
    return partial(spool.with_spool, typed.config, act)


def parse_dead(arguments: Sequence[str]) -> Action:
    """The action of `dead`."""
    parser = command("dead", "Look after rows that a store refused.")
    actions = parser.add_subparsers(dest="action", required=True, metavar=DEAD_ACTIONS)
    ls = subcommand(actions, "ls", "count and list them")
    ls.add_argument("--limit", type=positive, default=1000, metavar="N", help="default 1000")
    show = subcommand(actions, "show", "show one with its row")
    show.add_argument("letter", type=positive, metavar="ID")
    replay = subcommand(actions, "replay", "send them again")
    replay.add_argument(
        "--edit", type=_edit, metavar="PATCH", help="JSON Patch (RFC 6902) for each row, or @FILE"
    )
    drop = subcommand(actions, "drop", "give them up for good")
    export = subcommand(actions, "export", "write them with their rows, as lines of JSON")
    _target(export)
    for action in (ls, show):
        json_flag(action)
    for action in (ls, replay, drop, export):
        _filters(action)
    for action in (replay, drop):
        _which(action)
    release = subcommand(
        actions, "release", "let a table that holds go on; what is still refused is put aside"
    )
    release.add_argument("sink", metavar="SINK")
    release.add_argument("table", metavar="TABLE")
    return _dead_action(parser, parser.parse_args(arguments))


def _dead_action(parser: argparse.ArgumentParser, typed: argparse.Namespace) -> Action:
    from tracker.commands import dead, spool

    if typed.action == "release":
        return partial(dead.release, typed.config, typed.sink, typed.table)
    if typed.action == "show":
        return partial(
            spool.with_spool, typed.config, partial(dead.show, letter=typed.letter, is_json=typed.json)
        )
    which = dead.Selection(getattr(typed, "letters", None) or None, typed.sink, typed.table, typed.reason)
    if typed.action in ("replay", "drop") and (which.letters is None) != typed.all:
        parser.error("say which: either ids or --all")
    acts: dict[str, Callable[[], Callable[..., Awaitable[int]]]] = {
        "ls": lambda: partial(dead.ls, which=which, limit=typed.limit, is_json=typed.json),
        "replay": lambda: partial(dead.replay, which=which, edit=typed.edit or ""),
        "drop": lambda: partial(dead.drop, which=which),
        "export": lambda: partial(dead.export, which=which, target=typed.target, is_forced=typed.force),
    }
    return partial(spool.with_spool, typed.config, acts[typed.action]())


def _edit(text: str) -> str:
    from tracker.batching.edits import BadEdit, Edit

    try:
        patch = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        Edit(patch)
    except (OSError, UnicodeDecodeError, BadEdit) as failure:
        raise argparse.ArgumentTypeError(str(failure)) from failure
    return patch


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="FILE", help="a new file, or - for standard output")
    parser.add_argument("--force", action="store_true", help="replace the file if there is one")


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("letters", type=positive, nargs="*", metavar="ID")
    parser.add_argument("--all", action="store_true", help="all that the filters let through")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sink", default="", help="only of this sink")
    parser.add_argument("--table", default="", help="only of this table")
    parser.add_argument("--reason", default="", metavar="TEXT", help="only with this text in the reason")
