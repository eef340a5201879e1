"""`python -m cluster`: what the `cluster-` targets of the Makefile call."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster import control, trial_parts
from cluster.description import FILE, Description, Unusable, read
from cluster.home import Home, opened, write_compose, write_files
from cluster.node import node
from cluster.plan import in_containers, on_machines, plan
from cluster.server_config import in_container, on_machine

HOME = Path("data/cluster")
ONE = Path("data/clickhouse-server")
"""Where `make clickhouse-start` puts a server on its own."""
UNUSABLE, NOT_THERE = 78, 1


def main(arguments: Sequence[str]) -> int:
    """Do what was typed; 0 done, 1 not, 2 nothing to run it with, 78 an impossible cluster."""
    typed = _parser().parse_args(arguments)
    try:
        return _do(typed)
    except Unusable as trouble:
        print(f"cluster: {trouble}", file=sys.stderr)
        return UNUSABLE


def _do(typed: argparse.Namespace) -> int:
    if typed.action == "start":
        return control.start(typed.home, _description(typed), typed.runner)
    if typed.action == "write":
        return _write(typed)
    if typed.action == "node":
        node(os.environ).write(typed.to, typed.data)
        return 0
    home = opened(typed.home)
    if home is None:
        print(f"nothing in {typed.home}: `make {_start(typed.home)}` makes it", file=sys.stderr)
        return 0 if typed.action == "clean" else NOT_THERE
    return _with(home, typed)


def _with(home: Home, typed: argparse.Namespace) -> int:
    if typed.action == "logs":
        return control.logs(home, typed.lines)
    actions = {
        "stop": control.stop, "status": control.status, "clean": control.clean, "test": trial_parts.run,
        "console": control.console,
    }  # fmt: skip
    return actions[typed.action](home)


def _start(home: Path) -> str:
    return "clickhouse-start" if home == ONE else "cluster-start"


def _write(typed: argparse.Namespace) -> int:
    described = _description(typed)
    servers = described.shards * described.replicas
    if typed.machines_run_it:
        planned = plan(described, on_machines)
        neighbours = servers // len(described.machines) - 1
        folders = {each.name: on_machine(each, neighbours) for each in planned.servers}
    else:
        planned = plan(described, in_containers)
        folders = {each.name: in_container(neighbours=servers - 1) for each in planned.servers}
        write_compose(planned, typed.to)
    write_files(planned, typed.to, folders.__getitem__)
    return 0


def _description(typed: argparse.Namespace) -> Description:
    return read(typed.description).shaped(typed.shards, typed.replicas, typed.machines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster", description="A ClickHouse cluster from one description.")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (
        ("start", "start it, wait until it answers, create the tables"),
        ("stop", "stop it; its data stays"),
        ("status", "one line for each server"),
        ("logs", "the last lines of each server's log"),
        ("test", "write, read, lose a server under load, count"),
        ("console", "ClickHouse's own client on its first server"),
        ("clean", "stop it and remove its data"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("--home", type=Path, default=HOME, help=f"its folder, default {HOME}")
        if name == "start":
            _add_description(action)
            action.add_argument("--runner", choices=("compose", "native"), help="default: what is there")
        if name == "logs":
            action.add_argument("--lines", type=int, default=50)
    write = actions.add_parser("write", help="only write the files")
    write.add_argument("--to", type=Path, required=True)
    write.add_argument(
        "--machines-run-it", action="store_true", help="for machines of one's own instead of Compose"
    )
    _add_description(write)
    one = actions.add_parser("node", help="files of this container's server, from its environment")
    one.add_argument("--to", type=Path, required=True)
    one.add_argument("--data", required=True, help="the folder of the tracker's spool")
    return parser


def _add_description(action: argparse.ArgumentParser) -> None:
    action.add_argument("--description", type=Path, default=FILE)
    for name in ("shards", "replicas", "machines"):
        action.add_argument(f"--{name}", type=int, help="instead of the description's")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
