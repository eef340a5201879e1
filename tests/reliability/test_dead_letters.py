"""Dead letters of a real server and store: sent again they take effect once, whatever happens meanwhile."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running
from tests.support.typed import Ending, typed_here
from tracker.batching.dead_letters import NO_ROOM

AT_ONCE = {"events": {"Strategy": "immediate"}}
POISONED = {"sinks": {"*": {"behaviour": "reject-marked", "tables": ["events"]}}}
SEVERAL = 40


def send(server: Server, count: int, mark: str, **values: Any) -> None:
    """Server events with this mark, each with its number; all must be acknowledged."""
    events = [{"mark": mark, "w": number, **values} for number in range(count)]
    status, body = server.post("/tr/v1/str/", events)
    assert (status, json.loads(body)["accepted"]) == (200, count)


def totals(server: Server) -> Mapping[str, Any]:
    """The events' conservation numbers, which must agree whenever they are asked for."""
    told = json.loads(server.get("/metrics?format=json")[1])
    assert told["conservation"]["is_kept"]
    found = [one for one in told["conservation"]["tables"] if one["table"] == "events"]
    empty = {"accepted": 0, "delivered": 0, "dead": 0, "waiting": 0, "dropped": {}}
    return found[0] if found else empty


def totals_when(server: Server, is_so: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
    """The numbers as soon as they are so; the last ones when they never are."""
    deadline = time.monotonic() + 20
    while not is_so(found := totals(server)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def dead(server: Server, *arguments: str) -> Ending:
    """`dead …` as a person types it."""
    return typed_here("dead", "--config", str(server.config), *arguments)


def stored(server: Server) -> list[int]:
    """The numbers of the events that the store has, in order."""
    return [row["vp_w"] for row in server.rows("SELECT vp_w FROM events ORDER BY vp_w")]


def put_aside(server: Server) -> None:
    """Poisoned events are among the dead letters, all others stored."""
    send(server, SEVERAL, "POISON")
    assert totals_when(server, lambda now: now["dead"] == SEVERAL)["dead"] == SEVERAL


@pytest.mark.long
def test_a_row_refused_again_is_put_aside_again_and_once_mended_is_stored_once(tmp_path: Path) -> None:
    with running(tmp_path, faults=POISONED, Batching=AT_ONCE) as server:
        put_aside(server)
        first = json.loads(dead(server, "ls", "--json").out)["letters"]
        assert dead(server, "replay", "--all") == Ending(0, f"{SEVERAL} sent again\n", "")
        assert totals_when(server, lambda now: not now["waiting"])["dead"] == SEVERAL
        again = json.loads(dead(server, "ls", "--json").out)["letters"]
        assert not {one["id"] for one in first} & {one["id"] for one in again}
        edit = '[{"op": "replace", "path": "/params/mark", "value": "mended"}]'
        mended = dead(server, "replay", "--all", "--edit", edit)
        assert mended.out == f"{SEVERAL} sent again, {SEVERAL} edited\n"
        assert dead(server, "replay", "--all").code == 1
        assert totals_when(server, lambda now: now["delivered"] == SEVERAL)["dead"] == 0
        assert stored(server) == list(range(SEVERAL))
        assert len(server.misbehaved) >= 2
        assert "mended" not in server.log


@pytest.mark.long
@pytest.mark.parametrize("point", ["handed-to-sink", "written-not-acknowledged", "acknowledged-not-removed"])
def test_a_replay_survives_a_kill_and_takes_effect_once(tmp_path: Path, point: str) -> None:
    with running(tmp_path, faults=POISONED, Batching=AT_ONCE) as server:
        put_aside(server)
        server.sabotage(crash_at=point)
        dead(server, "replay", "--all")
        server.process.wait(timeout=20)
        assert server.crashes == [point]
        server.sabotage()
        server.start_again()
        assert totals_when(server, lambda now: now["delivered"] == SEVERAL)["dead"] == 0
        assert stored(server) == list(range(SEVERAL))


@pytest.mark.long
def test_a_table_that_holds_is_released_and_what_is_still_refused_is_put_aside(tmp_path: Path) -> None:
    with running(tmp_path, faults=POISONED, Batching=AT_ONCE) as server:
        sink = json.loads(server.get("/metrics?format=json")[1])["sinks"][0]["sink"]
        ending = dead(server, "release", sink, "events")
        assert (ending.code, ending.out) == (1, "")
        send(server, 1500, "POISON")
        deadline = time.monotonic() + 20
        while (told := dead(server, "release", sink, "events")).code and time.monotonic() < deadline:
            time.sleep(0.05)
        assert told.out.startswith("1 table released")
        assert "delivery of a table holds" in server.log
        assert totals_when(server, lambda now: not now["waiting"])["dead"] == 1500
        assert "there is no sink 'x'" in dead(server, "release", "x", "events").err
        send(server, 5, "good")
        assert totals_when(server, lambda now: now["delivered"] == 5)["waiting"] == 0


@pytest.mark.long
def test_a_flood_of_dead_letters_stays_within_its_limit_and_refuses_nobody(tmp_path: Path) -> None:
    limits = {"DeadLettersMaxBytes": "20KB", "MaxBytes": "200KB"}
    with running(tmp_path, faults=POISONED, Batching=AT_ONCE, Spool=limits) as server:
        for start in range(10):
            send(server, 5, "POISON", url="https://example.com/" + "x" * 5000)
            send(server, 200, "good", rel=str(start))
            totals_when(server, lambda now: not now["waiting"])
        now = totals_when(server, lambda now: sum(now["dropped"].values()) >= 47)
        assert now["dropped"] == {NO_ROOM: 50 - now["dead"]}
        assert 1 <= now["dead"] <= 3
        assert now["delivered"] == 2000
        text = server.get("/metrics?format=prometheus")[1].decode()
        assert f'reason="{NO_ROOM}"' in text
        assert "dead letters dropped" in server.log
        assert "x" * 100 not in server.log
