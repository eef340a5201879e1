"""What `make cluster-start`, `-stop`, `-status`, `-logs` and `-clean` do."""

# ruff: noqa: S603 (the tracker's own command, with this interpreter)

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from cluster.asking import NoAnswer, Server, is_ready, until
from cluster.description import Description, Unusable
from cluster.home import Home, opened
from cluster.runners import Runner, available, missing, runner_of

ROOT = Path(__file__).parents[1]
START_SECONDS = 120
PASSWORD_FILE = "TRACKER_NOTIFY__0__PASSWORD_FILE"  # noqa: S105 (a variable's name)


def start(folder: Path, description: Description, runner: str | None) -> int:
    """Have the cluster run, answer and hold the tables; 2 when this machine has nothing to run it with."""
    home = opened(folder)
    if home is None:
        chosen = available(runner)
        if chosen is None:
            print(missing(runner), file=sys.stderr)
            return 2
        home = Home(folder, description, chosen)
    elif home.description != description:
        raise Unusable(f"{folder} holds a cluster of another description; `make cluster-clean` removes it")
    home.write()
    runner_of(home).start(list(home.http_ports))
    wait(home)
    apply_schema(home)
    print(_how_to_point(home))
    return 0


def stop(home: Home) -> int:
    """Stop every server; the data stays."""
    runner_of(home).stop(list(home.http_ports))
    print(f"stopped; the data stays in {home.folder}")
    return 0


def clean(home: Home) -> int:
    """Stop every server and remove what it stored, and its folder but for a tracker's spool in it."""
    runner = runner_of(home)
    runner.stop(list(home.http_ports))
    runner.wipe()
    home.remove()
    print("the servers and their data are gone")
    return 0


def console(home: Home) -> int:
    """ClickHouse's own client on the first server."""
    return runner_of(home).console(next(iter(home.http_ports)))


def logs(home: Home, lines: int) -> int:
    """The last lines of every server."""
    runner_of(home).logs(lines)
    return 0


def status(home: Home) -> int:
    """One line a server; 1 when one of them does not answer."""
    running = runner_of(home).running()
    failures = 0
    for each in home.plan.servers:
        place = (
            f"{each.name}  shard {each.shard} replica {each.replica}  127.0.0.1:{home.http_ports[each.name]}"
        )
        try:
            told = _state(server(home, each.name)) if each.name in running else "stopped"
        except NoAnswer as refusal:
            told = f"does not answer: {refusal}"
        failures += not told.startswith("ready")
        print(f"{place}  {told}")
    return 1 if failures else 0


def server(home: Home, name: str) -> Server:
    """That server, to be asked."""
    return Server(home.http_ports[name], home.password_file.read_text(encoding="utf-8"))


def wait(home: Home) -> None:
    """Until every server answers and knows the others. Raises Unusable when one does not."""
    runner = runner_of(home)
    for name in home.http_ports:
        trouble = until(partial(_is_ready, runner, home, name), START_SECONDS)
        if trouble is not None:
            raise Unusable(f"{name} does not answer: {trouble}; see `make cluster-logs`")


def apply_schema(home: Home) -> None:
    """Create or bring up to date every table. Raises Unusable."""
    form = "cluster" if len(home.http_ports) > 1 else "single"
    command = [sys.executable, "-m", "tracker", "schema", str(home.tracker_config.resolve())]
    done = subprocess.run(
        [*command, "--clickhouse", form, "--apply"], cwd=ROOT, env=tracker_environment(home), check=False
    )
    if done.returncode:
        raise Unusable(f"the schema was not applied: `tracker schema` ended with {done.returncode}")


def tracker_environment(home: Home) -> dict[str, str]:
    """That of a tracker which uses `home.tracker_config`."""
    return {**os.environ, PASSWORD_FILE: str(home.password_file.resolve())}


def _is_ready(runner: Runner, home: Home, name: str) -> bool:
    if name not in runner.running():
        raise Unusable(f"{name} ended; see `make cluster-logs`")
    return is_ready(server(home, name), home.plan.name, len(home.http_ports))


def _state(asked: Server) -> str:
    sql = (
        "SELECT count(), countIf(is_readonly), countIf(active_replicas < total_replicas), max(absolute_delay)"
        " FROM system.replicas"
    )
    tables, readonly, short, delay = asked.ask(sql)[0]
    return (
        f"ready  {tables} replicated tables, {readonly} read-only, {short} miss a replica, {delay} s behind"
    )


def _how_to_point(home: Home) -> str:
    shape = f"{home.description.shards} shard(s) x {home.description.replicas} replica(s)"
    return (
        f"{home.plan.name} answers: {shape}, HTTP on {', '.join(home.tracker_hosts)}.\n"
        f"A tracker that writes there:\n"
        f"  {PASSWORD_FILE}={home.password_file} make run CONFIG={home.tracker_config}\n"
        f"or take the Notify entry of {home.tracker_config} into your own configuration."
    )
