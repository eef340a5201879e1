"""A person who asks to be forgotten is gone from every place, whatever waits, and through a kill."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running

SECRET = "anna-secret"
STORES = [
    {"Service": "duckdb", "Name": "file", "Context": "{}/file.duckdb"},
    {"Service": "duckdb", "Name": "far", "Context": "{}/far.duckdb"},
]
FAST = {"Strategy": "immediate"}


def stores_in(folder: Path) -> list[dict[str, Any]]:
    return [{**store, "Context": store["Context"].format(folder)} for store in STORES]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    sections: dict[str, Any] = {
        "Notify": stores_in(tmp_path),
        "Spool": {"Path": str(tmp_path / "spool")},
        "Admin": {"Socket": str(tmp_path / "control.sock")},
        "Batching": {"default": FAST, "events": FAST},
    }
    with running(tmp_path, faults={}, **sections) as started:
        yield started


def send(server: Server, who: str) -> None:
    """One of each thing that a person leaves behind."""
    about = {"vid": f"{who}-1", "uid": f"user-{who}", "params": {"note": f"{who}-secret"}}
    calls = [
        ("/tr/v1/tr/", {**about, "ename": "visited", "email": f"{who}@example.org"}),
        ("/tr/v1/tr/", {"vid": f"{who}-2", "ename": "visited", "params": {"note": f"{who}-secret"}}),
        ("/tr/v1/tr/", {"vid": f"{who}-2", "uid": f"user-{who}", "ename": "login"}),
        (
            "/tr/v1/str/",
            {**about, "ename": "asked", "tid": "campaign", "msg": f"{who}-secret", "subject": "x"},
        ),
        ("/tr/v1/ltv/", {"vid": f"{who}-1", "uid": f"user-{who}", "amt": "1.50", "currency": "EUR"}),
        ("/tr/v1/ppi/agree", {"vid": f"{who}-1", "cflags": 7, "url": f"https://{who}-secret.example/"}),
    ]
    for path, body in calls:
        status, answer = server.post(path, body)
        assert status == 200, (path, answer)


def forget(server: Server, *arguments: str) -> dict[str, Any]:
    done = server.command("forget", "--config", str(server.config), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def until_closed(server: Server, receipt: str, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (told := forget(server, "--receipt", receipt))["state"] == "open" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert told["state"] == "closed", told
    return told


def spooled(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (folder / "spool").iterdir() if file.is_file())


def tables(server: Server) -> list[dict[str, Any]]:
    done = server.command("spool", "ls", "--config", str(server.config), "--json")
    return list(json.loads(done.stdout)["tables"])


def delivered(server: Server, sink: str) -> None:
    deadline = time.monotonic() + 30
    while any(table["waiting"] for table in tables(server) if table["sink"] == sink):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def known(server: Server, who: str) -> int:
    """Lines that an export has."""
    done = server.command("export", "--config", str(server.config), "--uid", f"user-{who}")
    assert done.returncode == 0, done.stderr
    return len(done.stdout.splitlines())


@pytest.mark.long
def test_a_person_is_erased_while_a_store_is_away_and_through_a_kill(server: Server) -> None:
    server.sabotage(sinks={"far": {"behaviour": "unavailable"}})
    send(server, "anna")
    send(server, "bob")
    delivered(server, "file")
    send(server, "anna")
    assert SECRET.encode() in spooled(server.folder)
    before, of_bob = known(server, "anna"), known(server, "bob")
    assert before >= 20

    told = forget(server, "--uid", "user-anna")

    assert told["state"] == "open"
    assert told["under_way"] > 0
    assert sum(told["dropped"].values()) > 0
    assert told["visitors"] == 2
    assert "anna" not in json.dumps(told)
    server.kill()
    server.sabotage()
    server.start()
    closed = until_closed(server, told["receipt"])
    assert closed["after"] == {"spool": {"waiting": 0, "dead": 0}, "stores": {"file": {}, "far": {}}}
    assert known(server, "anna") == 0
    delivered(server, "far")
    assert known(server, "bob") >= of_bob
    assert SECRET.encode() not in spooled(server.folder)
    assert [table for table in tables(server) if table["difference"]] == []
    assert sum(table["dropped"].get("forgotten", 0) for table in tables(server)) > 0


@pytest.mark.long
def test_what_comes_later_is_counted_and_not_stored(server: Server) -> None:
    send(server, "anna")
    forget(server, "--uid", "user-anna")
    send(server, "anna")
    assert server.stop() == 0
    server.start()
    send(server, "anna")
    assert server.post("/tr/v1/tr/", {"vid": "anna-1", "uid": "user-bob", "ename": "shared"})[0] == 200
    counted = server.rows_when(
        "SELECT sum(total) AS n FROM counters WHERE id = 'dropped_forgotten' HAVING n >= 12", 1
    )
    assert counted == [{"n": 12}]
    assert [row["ename"] for row in server.rows_when("SELECT ename FROM events", 1)] == ["shared"]
    assert server.rows("SELECT id FROM payments") == server.rows("SELECT vid FROM agreements") == []
    assert known(server, "anna") == 0


@pytest.mark.long
def test_dead_letters_go_and_without_a_server_too(server: Server) -> None:
    server.sabotage(sinks={"far": {"behaviour": "reject-all", "tables": ["userhosts"]}})
    send(server, "anna")
    send(server, "bob")
    delivered(server, "file")
    delivered(server, "far")
    server.stop()

    told = forget(server, "--email", " ANNA@example.org")

    assert told["state"] == "closed", told
    assert told["before"]["stores"]["file"]["emails"] == 1
    assert (told["before"]["spool"]["dead"], told["after"]["spool"]["dead"]) == (1, 0)
    again = forget(server, "--email", "anna@example.org")
    assert again["earlier_receipts"] == [told["receipt"]]
    assert forget(server, "--receipt", told["receipt"])["closed_at"] == told["closed_at"]


def test_a_receipt_that_is_not_there(server: Server) -> None:
    done = server.command("forget", "--config", str(server.config), "--receipt", "x")
    assert (done.returncode, done.stderr) == (1, "tracker: there is no such receipt\n")
