"""What may be typed after `python -m tracker`, turned into an action; runs nothing itself."""

import argparse
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tracker import __version__

Action = Callable[[], int | Coroutine[Any, Any, int]]
KINDS = ("event", "log", "update", "count")

EPILOG = """commands (each with --help):
  sql "SELECT ..."     ask the store
  send FILE|-          store lines of JSON
  spool ls|verify|drop-sink  what waits for whom
  dead ls|show|replay|drop   rows that a store refused
  status               how the running server is

The server itself: `tracker [config.json]`, default ./config.json.
"""


def parse(arguments: Sequence[str]) -> Action:
    """The action that was typed. Leaves with exit code 2 and one line when it cannot be understood."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        return _server(arguments)
    return command(arguments[1:])


def _server(arguments: Sequence[str]) -> Action:
    parser = _parser("", "Collect events and store each exactly once.", epilog=EPILOG)
    parser.add_argument("config", nargs="?", default="config.json", type=Path, help="configuration file")
    parser.add_argument("--version", action="version", version=f"tracker {__version__}")
    parser.add_argument("--check", action="store_true", help="validate, open spool and stores, then leave")
    parser.add_argument("--print-config", action="store_true", help="print what is in force, secrets masked")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_override,
        dest="overrides",
        help="override a key, as in Spool.Durability=memory",
    )
    parser.add_argument("-prune", "--prune", action="store_true", help="prune old rows (not available yet)")
    parser.add_argument("-logs-only", "--logs-only", action="store_true", help="prune logs only (likewise)")
    parser.add_argument("-fb-pixel", "--fb-pixel", default="", metavar="ID", help="Facebook pixel")
    parser.add_argument("-fb-token", "--fb-token", default="", metavar="TOKEN", help="Facebook token")
    typed = parser.parse_args(arguments)
    if typed.prune or typed.logs_only:
        parser.error("pruning is not available yet; remove --prune and --logs-only")
    return partial(_serve, typed)


def _serve(typed: argparse.Namespace) -> int | Coroutine[Any, Any, int]:
    # The configuration's models are heavy, and --version needs none.
    from tracker.commands import check, server

    overrides = dict(typed.overrides)
    environment = _environment(typed)
    if typed.print_config:
        return server.print_config(typed.config, overrides, environment)
    if typed.check:
        return check.run(typed.config, overrides, environment)
    return server.serve(typed.config, overrides, environment)


def _environment(typed: argparse.Namespace) -> dict[str, str]:
    # The original's rule: the environment beats these two flags.
    flags = {"FB_PIXEL": typed.fb_pixel, "FB_TOKEN": typed.fb_token}
    return {**{name: value for name, value in flags.items() if value}, **os.environ}


def _override(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    parts = key.replace("[", ".").replace("]", "").split(".")
    return "TRACKER_" + "__".join(part.strip().upper() for part in parts), value


def _sql(arguments: Sequence[str]) -> Action:
    parser = _command("sql", "Ask the store one SELECT.")
    parser.add_argument("sql", metavar="SELECT", help="the question, or - to read it from standard input")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="an array of objects")
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="a header and lines")
    parser.add_argument("--max-rows", type=_positive, default=10_000, metavar="N", help="default 10000")
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="default 30")
    typed = parser.parse_args(arguments)

    from tracker.commands import sql

    text = sys.stdin.read() if typed.sql == "-" else typed.sql
    return partial(
        sql.run, typed.config, sql.Question(text, typed.form or "table", typed.max_rows, typed.timeout)
    )


def _send(arguments: Sequence[str]) -> Action:
    parser = _command("send", "Store lines of JSON through the running server.")
    parser.add_argument("--kind", choices=KINDS, default="event", help="what the lines are, default event")
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    typed = parser.parse_args(arguments)

    from tracker.commands import send

    return partial(send.run, typed.config, typed.kind, typed.file)


def _status(arguments: Sequence[str]) -> Action:
    parser = _command("status", "Show how the running server is.")
    _json_flag(parser)
    typed = parser.parse_args(arguments)

    from tracker.commands import status

    return partial(status.run, typed.config, typed.json)


def _spool(arguments: Sequence[str]) -> Action:
    parser = _command("spool", "Look into the spool.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ls|verify|drop-sink")
    for name, text in (("ls", "what waits for whom"), ("verify", "check the file and recount")):
        _json_flag(_subcommand(actions, name, text))
    drop = _subcommand(actions, "drop-sink", "give up what waits for a sink that is no longer configured")
    drop.add_argument("sink", metavar="SINK")
    typed = parser.parse_args(arguments)

    from tracker.commands import spool

    if typed.action == "drop-sink":
        return partial(spool.with_spool, typed.config, partial(spool.drop_sink, sink=typed.sink))
    act = spool.ls if typed.action == "ls" else spool.verify
    return partial(spool.with_spool, typed.config, partial(act, is_json=typed.json))


def _dead(arguments: Sequence[str]) -> Action:
    parser = _command("dead", "Look after rows that a store refused.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ls|show|replay|drop")
    ls = _subcommand(actions, "ls", "list them")
    ls.add_argument("--limit", type=_positive, default=1000, metavar="N", help="default 1000")
    show = _subcommand(actions, "show", "show one with its row")
    show.add_argument("letter", type=_positive, metavar="ID")
    replay = _subcommand(actions, "replay", "send them again")
    drop = _subcommand(actions, "drop", "give them up for good")
    for action in (ls, show):
        _json_flag(action)
    for action in (ls, replay, drop):
        _filters(action)
    for action in (replay, drop):
        _which(action)
    return _dead_action(parser, parser.parse_args(arguments))


def _dead_action(parser: argparse.ArgumentParser, typed: argparse.Namespace) -> Action:
    from tracker.commands import spool

    if typed.action == "show":
        act = partial(spool.dead_show, letter=typed.letter, is_json=typed.json)
        return partial(spool.with_spool, typed.config, act)
    selection = spool.Selection(
        getattr(typed, "letters", None) or None, typed.sink, typed.table, typed.reason
    )
    if typed.action == "ls":
        act = partial(spool.dead_ls, selection=selection, limit=typed.limit, is_json=typed.json)
        return partial(spool.with_spool, typed.config, act)
    if (selection.letters is None) != typed.all:
        parser.error("say which: either ids or --all")
    act = partial(spool.dead_replay if typed.action == "replay" else spool.dead_drop, which=selection)
    return partial(spool.with_spool, typed.config, act)


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("letters", type=_positive, nargs="*", metavar="ID")
    parser.add_argument("--all", action="store_true", help="all that the filters let through")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sink", default="", help="only of this sink")
    parser.add_argument("--table", default="", help="only of this table")
    parser.add_argument("--reason", default="", metavar="TEXT", help="only with this text in the reason")


def _json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to 3600")
    return seconds


def _parser(name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"tracker {name}".strip(),
        description=text,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _command(name: str, text: str) -> argparse.ArgumentParser:
    parser = _parser(name, text)
    _config_flag(parser, Path("config.json"))
    return parser


def _subcommand(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
    # Accepted before and after the action; only what was typed may overwrite what came before.
    _config_flag(parser, argparse.SUPPRESS)
    return parser


def _config_flag(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument(
        "--config", type=Path, default=default, metavar="FILE", help="configuration, default ./config.json"
    )


COMMANDS: dict[str, Callable[[Sequence[str]], Action]] = {
    "sql": _sql,
    "send": _send,
    "status": _status,
    "spool": _spool,
    "dead": _dead,
}
"""The first word of a command line; any other first word is the server's configuration file or a flag."""
