"""What may be typed after `accounts`."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from tracker.commands.arguments import command, json_flag, subcommand
from tracker.commands.parsing_spool import Action
from tracker.steps.hosts import ascii_host, bare_host
from tracker.steps.ids import parse

MOST_NAME = 200


def parse_accounts(arguments: Sequence[str]) -> Action:
    """The action that was typed."""
    parser = command("accounts", "Make, list, change and disable accounts.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_arguments(subcommand(actions, "add", "Make an account; its uid is printed."))
    json_flag(subcommand(actions, "list", "Show all accounts."))
    passwd = subcommand(actions, "passwd", "Give an account a new password.")
    passwd.add_argument("uid", metavar="UID", type=_uid)
    _password_flag(passwd)
    subcommand(actions, "disable", "Let nothing open an account any more.").add_argument(
        "uid", metavar="UID", type=_uid
    )
    typed = parser.parse_args(arguments)

    from tracker.commands import accounts

    if typed.action == "add":
        asked = accounts.Asked(
            hosts=typed.hosts,
            is_admin=typed.admin,
            expires=typed.expires or "",
            uid=typed.uid or "",
            name=typed.name or "",
        )
        return partial(accounts.add, typed.config, asked, from_stdin=typed.password_stdin)
    if typed.action == "list":
        return partial(accounts.show, typed.config, is_json=typed.json)
    if typed.action == "passwd":
        return partial(accounts.passwd, typed.config, typed.uid, from_stdin=typed.password_stdin)
    return partial(accounts.disable, typed.config, typed.uid)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hosts", type=_hosts, default=[], metavar="A,B", help="hosts whose links it may write and list"
    )
    parser.add_argument(
        "--admin", action="store_true", help="owns every host, and may ask for what is private"
    )
    parser.add_argument(
        "--expires", type=_moment, metavar="DATE", help="when it ends (2027-01-01); default never"
    )
    parser.add_argument("--uid", type=_uid, metavar="UUID", help="default a new one")
    parser.add_argument("--name", type=_name, metavar="TEXT", help="a remark for people")
    _password_flag(parser)


def _password_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input; without it, it is asked for at the terminal",
    )


def _hosts(text: str) -> list[str]:
    """Bare hosts in the form in which links are compared."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        host = ascii_host(bare_host(part))
        if not host or any(letter in host for letter in "/@ *"):
            raise argparse.ArgumentTypeError(f"{part[:80]!r} is no host")
        found.append(host)
    return found


def _uid(text: str) -> str:
    uid = parse(text)
    if uid is None:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no UUID")
    return uid


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is no date such as 2027-01-01") from None
    if not 1970 < found.year < 2200:
        raise argparse.ArgumentTypeError("expected a year from 1971 to 2199")
    return f"{found:%Y-%m-%d %H:%M:%S}.{found.microsecond // 1000:03d}Z"


def _name(text: str) -> str:
    if len(text) > MOST_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(f"a name has at most {MOST_NAME} printable characters")
    return text
