"""What the parsers of several commands share: parsers, flags, kinds of value."""

import argparse
from pathlib import Path

MAX_NUMBER = 10**18 - 1


def new_parser(name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    """A parser for the server ('') or one command."""
    return argparse.ArgumentParser(
        prog=f"tracker {name}".strip(),
        description=text,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def command(name: str, text: str) -> argparse.ArgumentParser:
    """A parser of a command, with --config."""
    parser = new_parser(name, text)
    _config_flag(parser, Path("config.json"))
    return parser


def subcommand(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    """A parser of an action of a command."""
    parser = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
    # Accepted before and after the action; only what was typed may overwrite what came before.
    _config_flag(parser, argparse.SUPPRESS)
    return parser


def _config_flag(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument(
        "--config", type=Path, default=default, metavar="FILE", help="configuration, default ./config.json"
    )


def json_flag(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def positive(text: str) -> int:
    """A whole number from 1 to 18 digits. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) <= MAX_NUMBER or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_NUMBER}")
    return int(text)


def seconds(text: str) -> float:
    """A time above 0 up to an hour. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to 3600")
    return number
