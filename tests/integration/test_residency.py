"""Rows of some places reach only the stores that may have them; others are refused or made nameless."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running

VID = "0199d7a4-0000-7000-8000-000000000001"
UID = "0199d7a4-0000-7000-8000-000000000002"
PRIVACY = {
    "Residency": [
        {"Regions": ["EU"], "Sinks": ["union"]},
        {"Regions": ["US"], "Sinks": ["world"]},
        {"Regions": ["JP"], "Sinks": ["union", "world"]},
        {"Regions": ["BR"], "Sinks": ["off"], "Otherwise": "anonymise"},
        {"Regions": ["CN"], "Sinks": ["off"]},
    ]
}
ZONES = {
    "at": "Europe/Vienna",
    "us": "America/New_York",
    "jp": "Asia/Tokyo",
    "br": "America/Sao_Paulo",
    "cn": "Asia/Shanghai",
    "ch": "Europe/Zurich",
}
EVENTS = [{"ename": name, "tz": zone, "vid": VID, "uid": UID} for name, zone in ZONES.items()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    stores = [
        {"Service": "duckdb", "Name": "union", "Context": "data/union.duckdb"},
        {"Service": "duckdb", "Name": "world", "Context": "data/world.duckdb"},
        {"Service": "duckdb_", "Name": "off", "Context": "data/off.duckdb"},
    ]
    # Nothing is due before the kill.
    with running(
        tmp_path,
        Privacy=PRIVACY,
        Notify=stores,
        Batching={"default": {"MaxBatchTime": 5}},
        Shutdown={"GraceSeconds": 30},
    ) as server:
        yield server


def asked(server: Server, store: str, sql: str) -> list[dict[str, Any]]:
    done = server.command("sql", "--config", str(server.config), "--json", "--store", store, sql)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def agreed(server: Server, zone: str) -> list[int]:
    status, body = server.get(f"/tr/v1/ppi/agree?vid={zone}")
    assert status == 200, body
    return [row["cflags"] for row in json.loads(body)]


@pytest.mark.long
def test_agreements_are_only_where_they_may_be_and_are_told_wherever_they_are(server: Server) -> None:
    def agree(zone: str) -> tuple[int, bytes]:
        return server.post("/tr/v1/ppi/agree", {"vid": zone, "cflags": 7, "tz": ZONES[zone]})

    for zone in ("at", "us", "ch"):
        assert agree(zone)[0] == 200
        assert agreed(server, zone) == [7]
    for zone in ("br", "cn"):
        assert agree(zone) == (400, b"no store may have what comes from there")
        assert agreed(server, zone) == []
    server.kill()
    server.start_again()
    assert [agreed(server, zone) for zone in ("at", "us", "ch")] == [[7], [7], [7]]
    assert server.stop(60) == 0
    for sql in ("SELECT country FROM agreements", "SELECT country FROM agreed"):
        told = {
            store: sorted(row["country"] for row in asked(server, store, sql)) for store in ("union", "world")
        }
        assert told == {"union": ["AT", "CH"], "world": ["CH", "US"]}
    server.start_again()
    assert [agreed(server, zone) for zone in ("at", "us", "ch")] == [[7], [7], [7]]


@pytest.mark.long
def test_rows_are_only_where_they_may_be_also_after_a_kill(server: Server) -> None:
    status, body = server.post("/tr/v1/tr/", EVENTS)
    assert status == 200
    assert json.loads(body) == {
        "accepted": 5,
        "rejected": [{"index": 4, "reason": "no store may have what comes from there"}],
    }
    assert server.post("/tr/v1/tr/", EVENTS[4])[0] == 400
    assert server.post("/tr/v1/ltv/", {"revenue": "1.5", "orid": VID, "country": "AT", "uid": UID})[0] == 200
    server.kill()
    server.start_again()
    assert server.stop(60) == 0  # delivers all that waits
    told = {
        store: {row["ename"]: row for row in asked(server, store, "SELECT ename, uid, ground FROM events")}
        for store in ("union", "world")
    }
    assert sorted(told["union"]) == ["at", "br", "ch", "jp"]
    assert sorted(told["world"]) == ["br", "ch", "jp", "us"]
    for rows in told.values():
        assert (rows["br"]["uid"], rows["br"]["ground"]) == (f"{0:08}-0000-0000-0000-{0:012}", "residency")
        assert (rows["ch"]["uid"], rows["ch"]["ground"]) == (UID, "")
    counts = "SELECT (SELECT count(*) FROM payments) AS paid, (SELECT count(*) FROM hosts) AS hosts"
    assert [asked(server, store, counts)[0] for store in ("union", "world")] == [
        {"paid": 1, "hosts": 1},
        {"paid": 0, "hosts": 1},
    ]
    assert (
        json.loads(server.command("spool", "verify", "--config", str(server.config), "--json").stdout)[
            "problems"
        ]
        == []
    )
    tables = json.loads(server.command("spool", "ls", "--config", str(server.config), "--json").stdout)[
        "tables"
    ]
    parts = {(one["sink"], one["table"]): one["delivered"] for one in tables if "events@" in one["table"]}
    assert parts == {
        ("union", "events@union"): 1,
        ("world", "events@world"): 1,
        ("union", "events@union,world"): 1,
        ("world", "events@union,world"): 1,
    }
