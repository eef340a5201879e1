"""What may be typed after `python -m tracker`, turned into an action; runs nothing itself."""

import argparse
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tracker import __version__
from tracker.commands.arguments import command, json_flag, new_parser, positive, seconds
from tracker.commands.parsing_accounts import parse_accounts
from tracker.commands.parsing_backup import parse_backup, parse_restore
from tracker.commands.parsing_persons import parse_export, parse_forget
from tracker.commands.parsing_spool import Action, parse_dead, parse_spool

KINDS = ("event", "log", "update", "count", "org")
SCHEMA_ACTIONS = {
    "print": "write the SQL; needs no server; the default",
    "apply": "apply what is pending, and make tables and columns that are missing",
    "diff": "say what differs from the tables that are there",
}

EPILOG = """commands (each with --help):
  sql "SELECT ..."     ask the store
  send FILE|-          store lines of JSON
  spool ls|verify|export|drop-sink            what waits for whom
  dead ls|show|replay|drop|export|release     rows that a store refused
  forget|export --vid|--uid|--email WHO       erase one person, or write what is known
  status               how the running server is
  accounts add|list|passwd|disable            who may make short links
  backup|restore --store NAME FOLDER          copy a store, and put a copy back
  schema --clickhouse single|cluster          show, apply or compare ClickHouse's tables

The server itself: `tracker [config.json]`, default ./config.json.
"""


def parse(arguments: Sequence[str]) -> Action:
    """The action that was typed. Leaves with exit code 2 and one line when it cannot be understood."""
    parse_command = COMMANDS.get(arguments[0]) if arguments else None
    if parse_command is None:
        return _server(arguments)
    return parse_command(arguments[1:])


def _server(arguments: Sequence[str]) -> Action:
    parser = new_parser("", "Collect events and store each exactly once.", epilog=EPILOG)
    parser.add_argument("config", nargs="?", default="config.json", type=Path, help="configuration file")
    parser.add_argument("--version", action="version", version=f"tracker {__version__}")
    parser.add_argument("--check", action="store_true", help="validate, open spool and stores, then leave")
    parser.add_argument("--print-config", action="store_true", help="print what is in force, secrets masked")
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="have the server that runs stop, and go on with its listening socket",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_override,
        dest="overrides",
        help="override a key, as in Spool.Durability=memory",
    )
    parser.add_argument("-prune", "--prune", action="store_true", help="prune old rows, then leave")
    parser.add_argument("-logs-only", "--logs-only", action="store_true", help="with --prune: logs alone")
    parser.add_argument("-dry-run", "--dry-run", action="store_true", help="with --prune: only count them")
    parser.add_argument("--json", action="store_true", help="with --prune: tell it as JSON")
    parser.add_argument("-fb-pixel", "--fb-pixel", default="", metavar="ID", help="Facebook pixel")
    parser.add_argument("-fb-token", "--fb-token", default="", metavar="TOKEN", help="Facebook token")
    typed = parser.parse_args(arguments)
    if not typed.prune and (typed.logs_only or typed.dry_run or typed.json):
        parser.error("--logs-only, --dry-run and --json belong to --prune")
    return partial(_prune if typed.prune else _serve, typed)


def _prune(typed: argparse.Namespace) -> Coroutine[Any, Any, int]:
    from tracker.commands import prune

    wanted = prune.Wanted(typed.logs_only, typed.dry_run, typed.json)
    return prune.run(typed.config, dict(typed.overrides), _environment(typed), wanted)


def _serve(typed: argparse.Namespace) -> int | Coroutine[Any, Any, int]:
    # The configuration's models are heavy, and --version needs none.
    from tracker.commands import check, server

    overrides = dict(typed.overrides)
    environment = _environment(typed)
    if typed.print_config:
        return server.print_config(typed.config, overrides, environment)
    if typed.check:
        return check.run(typed.config, overrides, environment)
    return server.serve(typed.config, overrides, environment, take_over=typed.take_over)


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
    parser = command("sql", "Ask the store one SELECT.")
    parser.add_argument("sql", metavar="SELECT", help="the question, or - to read it from standard input")
    parser.add_argument(
        "--store", default="", metavar="NAME", help="name or service of the store; default the first"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="an array of objects")
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="a header and lines")
    parser.add_argument("--max-rows", type=positive, default=10_000, metavar="N", help="default 10000")
    parser.add_argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="default 30")
    typed = parser.parse_args(arguments)

    from tracker.commands import sql

    text = sys.stdin.read() if typed.sql == "-" else typed.sql
    question = sql.Question(text, typed.form or "table", typed.max_rows, typed.timeout, typed.store)
    return partial(sql.run, typed.config, question)


def _send(arguments: Sequence[str]) -> Action:
    parser = command("send", "Store lines of JSON through the running server.")
    parser.add_argument("--kind", choices=KINDS, default="event", help="what the lines are, default event")
    parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    typed = parser.parse_args(arguments)

    from tracker.commands import send

    return partial(send.run, typed.config, typed.kind, typed.file)


def _status(arguments: Sequence[str]) -> Action:
    parser = command("status", "Show how the running server is.")
    json_flag(parser)
    typed = parser.parse_args(arguments)

    from tracker.commands import status

    return partial(status.run, typed.config, typed.json)


def _schema(arguments: Sequence[str]) -> Action:
    parser = command("schema", "Show, apply or compare the tables and views of ClickHouse.")
    parser.add_argument("file", metavar="CONFIG", nargs="?", type=Path, help="the same as --config")
    parser.add_argument("--clickhouse", required=True, choices=("single", "cluster"), dest="form")
    action = parser.add_mutually_exclusive_group()
    for name, meaning in SCHEMA_ACTIONS.items():
        action.add_argument(f"--{name}", action="store_const", const=name, dest="action", help=meaning)
    parser.add_argument(
        "--cluster-name", default="", metavar="NAME", help="default the configuration's, else tracker_cluster"
    )
    typed = parser.parse_args(arguments)

    from tracker.commands import schema

    wanted = schema.Wanted(typed.form, typed.action or "print", typed.cluster_name)
    return partial(schema.run, typed.file or typed.config, wanted)


COMMANDS: dict[str, Callable[[Sequence[str]], Action]] = {
    "sql": _sql,
    "send": _send,
    "status": _status,
    "accounts": parse_accounts,
    "backup": parse_backup,
    "restore": parse_restore,
    "schema": _schema,
    "spool": parse_spool,
    "dead": parse_dead,
    "forget": parse_forget,
    "export": parse_export,
}
"""The first word of a command line; any other first word is the server's configuration file or a flag."""
