"""Pruning through the real server and without it: as a person types it, and by itself."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running
from tracker.commands.client import ControlClient, Refused
from tracker.commands.prune_note import KEY
from tracker.steps.hashes import sha

ENTRY = {"Service": "duckdb", "Context": "data/tracker.duckdb", "Name": "shop"}
AT_ONCE = {"Batching": {"events": {"Strategy": "immediate"}, "logs": {"Strategy": "immediate"}}}
RULE = {
    "Table": "events",
    "TTL": "1s",
    "CFlagsIgnore": [4],
    "Fields": [{"Id": "app", "DestParamHash": "app_was"}],
}


def pruned(server: Server, *flags: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the command."""
    done = server.command("--prune", *flags, "--json", str(server.config))
    with suppress(ValueError):
        return done.returncode, json.loads(done.stdout)
    raise AssertionError(done.stderr)


def of_table(report: Mapping[str, Any], table: str) -> dict[str, Any]:
    """A table's part of the first store's report."""
    found: list[dict[str, Any]] = report["stores"][0]["tables"]
    return next(one for one in found if one["table"] == table)


def send(server: Server, **event: Any) -> None:
    status, _ = server.post("/tr/v1/str/", {"ename": "x", **event})
    assert status == 200


@pytest.mark.long
def test_old_rows_are_emptied_by_the_command_while_the_server_runs_and_after_it(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"Notify": [{**ENTRY, "Prune": [RULE]}], "PrefixPrivateHash": "salt", **AT_ONCE}
    with running(tmp_path, **keys, PruneLogsSkip=True) as server:
        send(server, app="shop")
        send(server, app="shop", cflags=4)
        server.rows_when("SELECT eid FROM events", 2)
        time.sleep(1.1)
        code, report = pruned(server, "--dry-run")
        assert (code, of_table(report, "events")["due"]) == (0, 1)
        assert {row["app"] for row in server.rows("SELECT app FROM events")} == {"shop"}

        code, report = pruned(server)
        told = of_table(report, "events")
        assert (code, told["pruned"], told["left"], told["rows_before"], told["rows_after"]) == (
            0,
            1,
            0,
            2,
            2,
        )
        rows = server.rows("SELECT app, cflags, params FROM events ORDER BY cflags")
        assert [(row["app"], row["cflags"]) for row in rows] == [("", 0), ("shop", 4)]
        assert rows[0]["params"]["app_was"] == sha("saltshop")
        assert of_table(pruned(server)[1], "events")["pruned"] == 0, "what is done is not done again"
        assert (
            b'tracker_pruned_rows_total{store="shop",table="events"} 1.0'
            in (server.get("/metrics?format=prometheus")[1])
        )
        send(server, app="later")
        server.rows_when("SELECT eid FROM events", 3)
        assert server.stop() == 0

        time.sleep(1.1)
        assert of_table(pruned(server)[1], "events")["pruned"] == 1
        assert {row["app"] for row in server.rows("SELECT app FROM events")} == {"", "shop"}
        text = server.command("-prune", str(server.config)).stdout
        assert "rows_before" in text
        assert "shop" in text
        for word in ("saltshop", "later"):
            assert word not in server.log


@pytest.mark.long
def test_rows_that_still_wait_are_pruned_once_they_arrive(tmp_path: Path) -> None:
    """A store that is away keeps old rows in the spool; how far rows are done is told accordingly."""
    rule = {"Table": "events", "TTL": "1s", "ClearAll": True}
    quiet = {"events": {"Strategy": "time", "MaxBatchTime": "1h"}}
    keys: dict[str, Any] = {
        "Notify": [{**ENTRY, "Prune": [rule]}],
        "PruneUpdateConfig": True,
        "PruneLogsSkip": True,
    }
    with running(tmp_path, **keys, Batching=quiet) as server:
        send(server, app="waits")
        sent_at = time.time()
        time.sleep(2.1)
        code, report = pruned(server)
        assert (code, of_table(report, "events")["pruned"]) == (0, 0)
        assert report["skip_to"] < sent_at, "nothing is done beyond a row that waits"
        written = json.loads(server.config.read_text(encoding="utf-8"))
        assert written[KEY] == report["skip_to"]
        assert server.stop() == 0  # which delivers what waits
        code, report = pruned(server)
        assert (code, of_table(report, "events")["pruned"]) == (0, 1)
        assert of_table(report, "events")["rows_after"] == 0
        assert report["skip_to"] > sent_at, "all that came is done"


@pytest.mark.long
def test_the_server_prunes_by_itself(tmp_path: Path) -> None:
    rule = {"Table": "events", "TTL": "1s", "ClearAll": True}
    keys: dict[str, Any] = {
        "Notify": [{**ENTRY, "Prune": [rule]}],
        "Privacy": {"PruneEvery": "1s"},
        **AT_ONCE,
    }
    with running(tmp_path, **keys) as server:
        send(server, app="goes")
        deadline = time.monotonic() + 20
        while '"shop events delete": 1' not in server.log and time.monotonic() < deadline:
            time.sleep(0.1)
        assert '"shop events delete": 1' in server.log
        assert server.rows("SELECT eid FROM events") == []
        client = ControlClient(tmp_path / "data" / "tracker.sock")
        for nonsense in ({"dry_run": "yes"}, {"logs_only": 1}):
            with pytest.raises(Refused, match="must be true or false"):
                asyncio.run(client.post("/prune", nonsense))
        assert server.stop() == 0


@pytest.mark.long
def test_a_store_that_cannot_be_pruned_ends_with_1(tmp_path: Path) -> None:
    with running(tmp_path, Notify=[ENTRY]) as server:
        server.kill()
    (tmp_path / "data" / "tracker.duckdb").unlink(missing_ok=True)
    code, report = pruned(server)
    assert code == 1
    assert "nothing has been stored there yet" in report["stores"][0]["error"]
