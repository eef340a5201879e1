"""`backup` and `restore` as people use them: the real command line, real servers, kills in between."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import event
from tests.support.clickhouse_process import ClickHouse, serving
from tests.support.copies import store
from tests.support.server import ROOT, Server, running, write_config
from tests.support.typed import Ending, typed_here
from tracker.commands.backup_folder import MANIFEST
from tracker.commands.settings import load_config
from tracker.settings import sink_settings

SECONDS = 60
READ_BEFORE = 5
"""Questions over HTTP before the events are read: four of the driver and ours, and the columns."""
AT_ONCE = {"events": {"Strategy": "immediate"}}
HELD = {"duckdb": "lock", "clickhouse": "another process has it"}
"""What is said of a store that another process has open."""


def notify(folder: Path, service: str) -> list[dict[str, Any]]:
    if service == "duckdb":
        return [{"Service": "duckdb", "Name": "shop", "Context": str(folder / "tracker.duckdb")}]
    place = {"Hosts": ["embedded"], "Context": str(folder / "clickhouse")}
    return [{"Service": "clickhouse", "Name": "shop", **place}]


def over_http(server: ClickHouse, database: str) -> list[dict[str, Any]]:
    hosts = {"Hosts": [f"127.0.0.1:{server.port}"], "Context": database}
    return [{"Service": "clickhouse", "Name": "shop", **hosts}]


def command(config: Path, name: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tracker", name, str(config), "--store", "shop", str(folder)]


def run(config: Path, name: str, folder: Path) -> Ending:
    return typed_here(name, str(config), "--store", "shop", str(folder))


def killed_when(
    config: Path, name: str, folder: Path, is_reached: Callable[[], bool], by: int = signal.SIGKILL
) -> None:
    """Start the command and end it by this signal as soon as it has come this far."""
    with subprocess.Popen(command(config, name, folder), cwd=ROOT, preexec_fn=_hear_the_keyboard) as process:
        deadline = time.monotonic() + SECONDS
        while not is_reached():
            assert process.poll() is None, "it had ended before"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(by)


def _hear_the_keyboard() -> None:
    """Tests that run in the background ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def rows_in(folder: Path, table: str = "events") -> int:
    return int(json.loads((folder / MANIFEST).read_bytes())["tables"][table]["rows"])


def configured(folder: Path, stores: list[dict[str, Any]], rows: int = 0) -> Path:
    """A configuration of its own, with so many events in its store and no server."""
    folder.mkdir(exist_ok=True)
    spool = {"Path": str(folder / "spool")}
    config = write_config(
        folder, 1, Notify=stores, Spool=spool, Admin={"Socket": str(folder / "control.sock")}
    )
    if rows:
        loaded = load_config(config)
        place = sink_settings(loaded, loaded.sinks[0])
        made = [event(params={"number": number, "text": "x" * 200}) for number in range(rows)]
        for start in range(0, rows, 10_000):
            asyncio.run(store(place, made[start : start + 10_000]))
    return config


def count(config: Path) -> int:
    # a restored ClickHouse may hold a row twice until it merges them, as at any other time
    table = "events FINAL" if '"clickhouse"' in config.read_text(encoding="utf-8") else "events"
    sql = f"SELECT count(*) AS n FROM {table}"  # noqa: S608 (one of two)
    told = typed_here("sql", "--config", str(config), "--json", sql)
    assert told.code == 0, told.err
    return int(json.loads(told.out)[0]["n"])


@contextmanager
def sending(server: Server) -> Iterator[list[int]]:
    """One event after the other meanwhile; what is yielded has how many were acknowledged."""
    acknowledged, is_over = [0], threading.Event()

    def send() -> None:
        while not is_over.is_set():
            assert server.post("/tr/v1/tr/", [{"ename": "view"}] * 10)[0] == 200
            acknowledged[0] += 10

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield acknowledged
    finally:
        is_over.set()
        thread.join()


def has_delivered_events(server: Server) -> bool:
    told = typed_here("spool", "--config", str(server.config), "ls", "--json")
    return not any(of["waiting"] for of in json.loads(told.out)["tables"] if of["table"] == "events")


@pytest.mark.parametrize("service", ["duckdb", pytest.param("clickhouse", marks=pytest.mark.long)])
@pytest.mark.long
def test_a_store_is_copied_while_its_server_takes_events_and_restored_elsewhere(
    tmp_path: Path, service: str
) -> None:
    backup = tmp_path / "backup"
    with running(tmp_path, Notify=notify(tmp_path, service), Batching=AT_ONCE) as server:
        for _ in range(100):
            server.post("/tr/v1/tr/", [{"ename": "view"}] * 10)
        deadline = time.monotonic() + SECONDS
        while not has_delivered_events(server) and time.monotonic() < deadline:
            time.sleep(0.2)
        with sending(server) as acknowledged:
            done = run(server.config, "backup", backup)
            assert done.code == 0, done.err
        assert acknowledged[0] > 0
        refused = run(server.config, "restore", backup)
        assert (refused.code, refused.out) == (1, "")
        assert "a server runs at " in refused.err
        of_another = configured(tmp_path / "another", notify(tmp_path, service))
        refused = run(of_another, "restore", backup)
        assert (refused.code, refused.out) == (1, "")
        assert HELD[service] in refused.err
        assert server.stop() == 0
    assert 1000 <= rows_in(backup) <= 1000 + acknowledged[0]
    other = configured(tmp_path / "other", notify(tmp_path / "other", service))
    done = run(other, "restore", backup)
    assert done.code == 0, done.err
    assert count(other) == rows_in(backup)
    if acknowledged[0] + 1000 > rows_in(backup):
        refused = run(server.config, "restore", backup)
        assert (refused.code, refused.out) == (1, "")
        assert re.search(
            r"events holds \d+ rows that the backup has not, or has older: restore into an empty store, "
            "or move this one away first",
            refused.err,
        )
    assert count(server.config) == 1000 + acknowledged[0]


@pytest.mark.long
def test_a_killed_backup_is_no_backup_and_the_next_one_is(tmp_path: Path) -> None:
    config = configured(tmp_path / "a", notify(tmp_path / "a", "duckdb"), rows=20_000)
    backup = tmp_path / "backup"
    killed_when(config, "backup", backup, (backup / "events.jsonl.zst").exists)
    assert [path.name for path in backup.iterdir()] == ["events.jsonl.zst"]
    refused = run(config, "restore", backup)
    assert (refused.code, refused.out) == (1, "")
    assert f"{backup / MANIFEST} is missing" in refused.err
    assert f"{backup} is not empty" in run(config, "backup", backup).err
    assert run(config, "backup", tmp_path / "second").code == 0
    assert rows_in(tmp_path / "second") == 20_000


def test_a_backup_that_is_interrupted_by_its_keyboard_leaves_nothing(tmp_path: Path) -> None:
    config = configured(tmp_path / "a", notify(tmp_path / "a", "duckdb"), rows=20_000)
    backup = tmp_path / "backup"
    killed_when(config, "backup", backup, (backup / "events.jsonl.zst").exists, by=signal.SIGINT)
    assert not backup.exists()


@pytest.mark.long
def test_a_killed_restore_has_changed_nothing_in_duckdb_and_the_next_one_ends_it(tmp_path: Path) -> None:
    source = configured(tmp_path / "a", notify(tmp_path / "a", "duckdb"), rows=40_000)
    target = configured(tmp_path / "b", notify(tmp_path / "b", "duckdb"))
    backup = tmp_path / "backup"
    assert run(source, "backup", backup).code == 0
    assert run(target, "restore", backup).code == 0
    file = tmp_path / "b" / "tracker.duckdb"
    before = file.read_bytes()
    killed_when(target, "restore", backup, lambda: any(file.parent.glob("*.restoring")))
    assert file.read_bytes() == before
    done = run(target, "restore", backup)
    assert done.code == 0, done.err
    assert count(target) == 40_000
    assert list(file.parent.glob("*restoring*")) == []


@pytest.mark.long
def test_a_killed_restore_into_clickhouse_is_ended_by_the_next_one(tmp_path: Path) -> None:
    source = configured(tmp_path / "a", notify(tmp_path / "a", "duckdb"), rows=40_000)
    backup = tmp_path / "backup"
    assert run(source, "backup", backup).code == 0
    with serving(tmp_path / "server") as server:
        target = configured(tmp_path / "b", over_http(server, "restored"))

        def has_begun() -> bool:
            parts = "SELECT sum(rows) AS n FROM system.parts WHERE table = 'events' AND database = 'restored'"
            return int(server.ask(parts)[0]["n"] or 0) > 0

        killed_when(target, "restore", backup, has_begun)
        assert 0 < count(target) < 40_000
        done = run(target, "restore", backup)
        assert done.code == 0, done.err
        assert count(target) == 40_000


def test_an_answer_that_breaks_off_leaves_no_backup(tmp_path: Path) -> None:
    with serving(tmp_path / "server") as server:
        config = configured(tmp_path / "a", over_http(server, "shop"), rows=2000)
        backup = tmp_path / "backup"
        wrongs = ("half", "short", "error-behind-200", "complain")
        for wrong in wrongs:
            rule = {"does": wrong, "of": "select", "code": 241, "text": "secret"}
            server.wrong({**rule, "skip": READ_BEFORE, "times": 1})
            done = run(config, "backup", backup)
            assert (done.code, done.out) == (1, ""), wrong
            assert done.err.startswith("tracker: clickhouse 127.0.0.1:"), wrong
            assert "secret" not in done.err
            assert not backup.exists()
        assert server.misbehaved == [f"{wrong} " for wrong in wrongs]
        done = run(config, "backup", backup)
        assert done.code == 0, done.err
        assert rows_in(backup) == 2000


@pytest.mark.long
def test_a_server_that_stops_meanwhile_ends_the_backup_with_a_sentence(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    configured(tmp_path, notify(tmp_path, "duckdb"), rows=40_000)
    with running(tmp_path, Notify=notify(tmp_path, "duckdb")) as server:
        told = command(server.config, "backup", backup)
        with subprocess.Popen(told, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + SECONDS
            while not (backup / "events.jsonl.zst").exists() and time.monotonic() < deadline:
                time.sleep(0.001)
            process.send_signal(signal.SIGSTOP)  # SIGSTOP: it takes no more, so the server is in the middle
            try:
                assert server.stop() == 0
            finally:
                process.send_signal(signal.SIGCONT)
            assert process.stderr is not None
            said = process.stderr.read()
        assert process.returncode == 1
        assert "the server" in said
        assert not backup.exists()
