"""What /readyz and /sink-health tell whom, and a table that holds in the real server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running
from tests.support.web import LOOPBACK, front
from tracker.web.settings import Networks, WebSettings


@pytest.mark.parametrize(("metrics_from", "with_details"), [(LOOPBACK, True), ((), False)])
async def test_only_those_who_may_see_the_metrics_are_told_in_the_words_of_the_store(
    metrics_from: Networks, with_details: bool
) -> None:
    async with front(WebSettings(metrics_from=metrics_from)) as web:
        async with web.client.get(f"{web.url}/sink-health") as answer:
            assert (await answer.json())["duckdb"]["with_details"] is with_details
        async with web.client.get(f"{web.url}/readyz") as answer:
            assert answer.status == 200


def told(server: Server, path: str) -> Any:
    status, body = server.get(path)
    assert status == 200
    return json.loads(body)


def until(is_true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.long
def test_a_table_that_holds_says_so_outlives_a_restart_and_goes_on_by_command(tmp_path: Path) -> None:
    broken = {"sinks": {"*": {"behaviour": "reject-all", "tables": ["events"]}}}
    quick = {"events": {"Strategy": "hybrid", "MaxBatchTime": "50ms"}}
    with running(tmp_path, faults=broken, Batching=quick) as server:
        events = [{"ename": f"e{n}"} for n in range(150)]
        assert server.post("/tr/v1/str/", events)[0] == 200
        reason = "150 of the last 150 rows were rejected"
        (sink,) = told(server, "/sink-health")
        for _ in range(2):
            until(lambda: told(server, "/readyz")["sinks"] == {sink: [f"events holds: {reason}"]})
            assert told(server, "/sink-health")[sink]["status"] == "holding"
            table = next(one for one in told(server, "/metrics")["tables"] if one["table"] == "events")
            assert (table["held"], table["waiting_rows"]) == (reason, 150)
            _, text = server.get("/metrics?format=prometheus")
            assert f'tracker_held{{sink="{sink}",table="events"}} 1.0'.encode() in text
            assert server.stop() == 0
            server.start_again()
        assert server.misbehaved
        until(lambda: told(server, "/readyz")["sinks"])
        server.sabotage()
        done = server.command("dead", "release", "--config", str(server.config), sink, "events")
        assert done.returncode == 0, done.stderr
        assert len(server.rows_when("SELECT ename FROM events", 150)) == 150
        assert told(server, "/readyz")["sinks"] == {}
