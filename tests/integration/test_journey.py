"""The main job on the real process: an event goes in with one request and comes out with one question."""

import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running

VISITOR = "0199d7a4-0000-7000-8000-000000000001"
KEEP: dict[str, Any] = {"Batching": {"events": {"Strategy": "time", "MaxBatchTime": "10m"}}}
"""A configuration in which events stay in the spool."""


def test_an_event_is_a_row_within_three_seconds(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        sent = {
            "vid": VISITOR,
            "ename": "Page_View",
            "url": "https://Example.com/A?b=c",
            "params": {"Price": 1.50, "on": "2026-01-02"},
        }
        assert server.post("/tr/v1/tr/", sent) == (200, b"")
        rows = server.rows_when("SELECT vid, ename, url, params, is_client FROM events", 1, seconds=3)
    assert rows == [
        {
            "vid": VISITOR,
            "ename": "page_view",
            "url": "//example.com/a",
            "params": {"Price": 1.50, "on": "2026-01-02"},
            "is_client": True,
        }
    ]


@pytest.mark.long
def test_a_server_event_answers_the_id_of_its_row(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        status, body = server.post("/tr/v1/str/", {"vid": "user-123", "ename": "signup"})
        rows = server.rows_when("SELECT eid, is_client FROM events", 1)
    assert status == 200
    assert rows == [{"eid": json.loads(body), "is_client": False}]


@pytest.mark.long
def test_every_acknowledged_event_survives_a_kill_before_anything_was_delivered(tmp_path: Path) -> None:
    with running(tmp_path, **KEEP) as server:
        sent = [json.loads(server.post("/tr/v1/str/", {"ename": f"e{number}"})[1]) for number in range(50)]
        assert server.rows("SELECT eid FROM events") == []
        server.kill()
        server.config.write_text(server.config.read_text("utf-8").replace('"10m"', '"0.1s"'), "utf-8")
        server.start_again()
        rows = server.rows_when("SELECT eid FROM events", 50)
    assert sorted(row["eid"] for row in rows) == sorted(sent)


@pytest.mark.long
def test_a_clients_event_id_is_stored_once_also_across_a_kill(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for _ in range(2):
            assert server.post("/tr/v1/tr/", {"eid": "order-1", "ename": "paid"})[0] == 200
        server.kill()
        server.start_again()
        assert server.post("/tr/v1/tr/", {"eid": "order-1", "ename": "paid"})[0] == 200
        assert server.post("/tr/v1/tr/", {"eid": "order-2", "ename": "paid"})[0] == 200
        rows = server.rows_when("SELECT eid FROM events", 2)
        time.sleep(2.5)  # long enough for a third row to be delivered, if there were one
        rows = server.rows("SELECT eid FROM events")
    assert len(rows) == len({row["eid"] for row in rows}) == 2


@pytest.mark.long
def test_sigterm_delivers_what_waits_and_exits_0(tmp_path: Path) -> None:
    with running(tmp_path, **KEEP) as server:
        for number in range(20):
            server.post("/tr/v1/tr/", {"ename": f"e{number}"})
        assert server.rows("SELECT eid FROM events") == []
        assert server.stop() == 0
        assert len(server.rows("SELECT eid FROM events")) == 20  # the file itself is asked now


@pytest.mark.long
def test_a_second_signal_exits_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with running(tmp_path, Shutdown={"PreStop": "30s"}, **KEEP) as server:
        server.post("/tr/v1/tr/", {"ename": "kept"})
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while server.get("/readyz")[0] != 503 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.get("/readyz")[0] == 503
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=2)
        server.config.write_text(server.config.read_text("utf-8").replace('"10m"', '"0.1s"'), "utf-8")
        server.start_again()
        assert [row["ename"] for row in server.rows_when("SELECT ename FROM events", 1)] == ["kept"]


def test_no_raw_address_or_email_reaches_a_row_the_spool_or_the_log(tmp_path: Path) -> None:
    address, email = "203.0.113.77", "somebody@example.org"
    with running(tmp_path, **KEEP) as server:
        server.post(
            "/tr/v1/tr/",
            {"ename": "x", "Email": email, "ip": address, "params": {"deep": [{"EMAIL": email}]}},
            {"X-Forwarded-For": address},
        )
        server.kill()
        spool = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
        assert b'"ename":"x"' in spool
        server.start_again()
        server.stop()
        rows = server.rows("SELECT ip, iphash, params FROM events")
        mails = server.rows("SELECT ehash FROM emails")
        everything = spool + server.log.encode() + json.dumps(rows).encode()
        everything += b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert rows[0]["ip"] == "" and rows[0]["iphash"] != ""
    assert len(mails) == 1
    assert address.encode() not in everything
    assert email.encode() not in everything


@pytest.mark.long
def test_trusted_records_come_through_the_control_socket(tmp_path: Path) -> None:
    lines = '{"id": "signups"}\nnot json\n{"id": "signups"}\n'
    with running(tmp_path) as server:
        done = server.command("send", "--config", str(server.config), "--kind", "count", "-", stdin=lines)
        rows = server.rows_when("SELECT id, total FROM counters", 2)
    assert done.returncode == 1
    assert "2" in done.stdout + done.stderr
    assert rows == [{"id": "signups", "total": 1}] * 2


def test_a_wrong_configuration_stops_the_start_with_78(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"Spol": {}}', encoding="utf-8")
    server = Server(tmp_path / "config.json", 0, None)  # type: ignore[arg-type]  # it never starts
    done = server.command(str(server.config))
    assert done.returncode == 78
    assert "Spol" in done.stderr and "Spool" in done.stderr


@pytest.mark.parametrize(
    "raw",
    [
        b"G / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /tr/v1/tr/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /tr/v1/tr/%ff%zz?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
def test_broken_http_is_answered_4xx_and_the_server_lives(tmp_path: Path, raw: bytes) -> None:
    with running(tmp_path) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(raw)
            answer = connection.recv(65536)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 200")), answer[:100]
        assert server.get("/livez")[0] == 200
        assert "Traceback" not in server.log


def test_a_connection_without_a_request_is_closed_after_the_configured_time(tmp_path: Path) -> None:
    with (
        running(tmp_path, IdleTimeoutSeconds=0.3) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection,
    ):
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert connection.recv(65536) == b""
