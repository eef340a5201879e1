"""Accounts on a real server: made and changed with and without it, and where passwords never go."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest

from tests.support.server import Server, running
from tests.support.typed import Ending, typed_here
from tracker.records.passwords import legacy_hash

PASSWORD = "secret/with%2Fslash é: and colon"
LINK = {"urlfrom": "https://short.example/x", "urlto": "https://target.example/"}
HELD: dict[str, Any] = {
    "Batching": {"default": {"Strategy": "time", "MaxBatchTime": "1h"}},
    "Log": {"Level": "debug"},
}
"""Rows stay in the spool, and everything is logged."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave it running; each test comes from an address of its own."""
    with running(tmp_path_factory.mktemp("accounts"), **HELD) as server:
        yield server


def typed(folder: Path, *arguments: str, password: str = "") -> Ending:
    (folder / "stdin").write_text(f"{password}\n", encoding="utf-8")
    with (folder / "stdin").open(encoding="utf-8") as source, mock.patch("sys.stdin", source):
        return typed_here("accounts", arguments[0], "--config", str(folder / "config.json"), *arguments[1:])


def added(folder: Path, *arguments: str, password: str = PASSWORD) -> str:
    ended = typed(folder, "add", "--password-stdin", *arguments, password=password)
    assert (ended.code, ended.err) == (0, "")
    return ended.out.strip()


def listed(folder: Path) -> list[dict[str, object]]:
    ended = typed(folder, "list", "--json")
    assert ended.code == 0, ended.err
    found: list[dict[str, object]] = json.loads(ended.out)
    return found


def made(server: Server, uid: str, password: str = PASSWORD, address: str = "127.0.0.1") -> tuple[int, bytes]:
    """Make a link with these credentials in a header."""
    said = base64.b64encode(f"{uid}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {said}", "X-Forwarded-For": address}
    return server.post("/tr/v1/rpi/redirect", LINK, headers)


def account_of(folder: Path, uid: str) -> dict[str, object]:
    (account,) = (account for account in listed(folder) if account["uid"] == uid)
    return account


def test_an_account_works_from_its_making_to_its_end_while_the_server_runs(server: Server) -> None:
    uid = added(server.folder, "--hosts", "Short.example:443, other.example", "--name", "Ada")
    account = account_of(server.folder, uid)
    assert account["name"] == "Ada"
    assert account["hosts"] == ["short.example", "other.example"]
    assert "argon" not in typed(server.folder, "list").out
    assert made(server, uid)[0] == 200
    assert made(server, uid, "wrong password") == (401, b"Bad pass")
    path = f"/tr/v1/rpi/redirect/{uid}/{quote(PASSWORD, safe='')}"
    assert server.post(path, LINK)[0] == 200
    assert typed(server.folder, "passwd", uid, "--password-stdin", password="another one").code == 0
    assert server.post(path, LINK) == (400, b"Bad pass")
    assert made(server, uid, "another one")[0] == 200
    assert typed(server.folder, "disable", uid).code == 0
    assert made(server, uid, "another one") == (401, b"Bad pass")
    assert account_of(server.folder, uid)["disabled"] is True


@pytest.mark.long
def test_an_account_that_waits_in_the_spool_opens_after_a_kill_and_is_listed_without_a_server(
    tmp_path: Path,
) -> None:
    with running(tmp_path, **HELD) as server:
        uid = added(server.folder, "--admin")
        assert made(server, uid)[0] == 200
        server.kill()
        assert [account["uid"] for account in listed(server.folder)] == [uid]
        server.start_again()
        assert made(server, uid)[0] == 200
        assert made(server, uid, "wrong password")[0] == 401
        assert server.rows("SELECT uid FROM accounts") == []


@pytest.mark.long
def test_accounts_are_made_and_changed_before_there_is_a_server_and_while_none_runs(tmp_path: Path) -> None:
    with running(tmp_path, Batching={"default": {"Strategy": "immediate"}}) as server:
        server.stop()
        for place in (tmp_path / "data").iterdir():
            if place.name != "spool":
                place.rename(tmp_path / place.name)
        (tmp_path / "data").rename(tmp_path / "old")
        uid = added(tmp_path, "--admin", "--expires", "2127-01-01")
        second = added(tmp_path)
        assert typed(tmp_path, "disable", second).code == 0
        assert typed(tmp_path, "passwd", uid, "--password-stdin", password="another one").code == 0
        server.start_again()
        assert made(server, uid, "another one")[0] == 200
        assert made(server, uid)[0] == made(server, second)[0] == 401
        rows = {row["uid"]: row for row in server.rows_when("SELECT uid, expires, creds FROM accounts", 2)}
        assert rows[uid]["expires"].startswith("2127-01-01 00:00:00")
        assert rows[second]["creds"]["disabled"] is True
        server.stop()
        assert {account["uid"] for account in listed(tmp_path)} == {uid, second}


@pytest.mark.long
def test_the_originals_hash_opens_an_account_once_and_is_replaced(tmp_path: Path) -> None:
    uid = "018f6f2e-0000-7000-8000-000000000001"
    with running(tmp_path, Batching={"default": {"Strategy": "immediate"}}) as server:
        added(tmp_path, "--uid", uid, "--admin")
        server.rows_when("SELECT uid FROM accounts", 1)
        server.stop()
        import duckdb  # a person's own change to the store, while no server has it

        (file,) = (tmp_path / "data").glob("*.duckdb")
        with duckdb.connect(str(file)) as store:
            store.execute("UPDATE accounts SET pwd = ?", [legacy_hash(PASSWORD)])
        server.start_again()
        assert made(server, uid, "wrong password")[0] == 401
        assert made(server, uid)[0] == 200
        (row,) = server.rows_when("SELECT creds FROM accounts WHERE starts_with(pwd, '$argon2id$')", 1)
        assert row["creds"]["admin"] is True
        assert made(server, uid)[0] == 200


def test_after_repeated_failures_even_the_right_password_must_wait(server: Server) -> None:
    uid = added(server.folder, "--admin")
    for number in range(5):
        assert made(server, uid, f"wrong {number}", "203.0.113.1")[0] == 401
    assert made(server, uid, PASSWORD, "203.0.113.1") == (429, b"Too many attempts")
    assert made(server, uid, PASSWORD, "203.0.113.2")[0] == 200


def test_no_password_reaches_a_log_a_metric_or_a_file(server: Server) -> None:
    """Whether it is right or wrong, in the path, in a header, in a request that is broken."""
    uid = added(server.folder, "--admin")
    needles = ["s3cret", base64.b64encode(f"{uid}:right-s3cret-1".encode()).decode()[10:-4]]
    assert typed(server.folder, "passwd", uid, "--password-stdin", password="right-s3cret-1").code == 0
    paths = [
        f"/tr/v1/rpi/redirect/{uid}/right-s3cret-1",
        f"/tr/v1/rpi/redirect/{uid}/wrong-s3cret-2/",
        f"/tr/v1/rpi/redirect/{uid}/wr%2Fong-s3cret-3%ff%00",
        f"/tr/v1/rpi/redirect/{uid}/a/b/c/d-s3cret-4",
        f"/tr/v1/rpi/redirects/{uid}/right-s3cret-1/short.example",
        f"/tr/v1/rpi/nothing/{uid}/s3cret-5",
        "/tr/v1/rpi/redirect/nobody/s3cret-6?s3cret-7=1",
    ]
    for path in paths:
        for number, body in enumerate((LINK, b"{broken s3cret-8")):
            server.post(path, body, {"X-Forwarded-For": f"203.0.114.{number}"})
        server.get(path, {"X-Forwarded-For": "203.0.114.2"})
    for sent in ("right-s3cret-1", "wrong-s3cret-9"):
        made(server, uid, sent, "203.0.114.3")
    for line in (f"GET {paths[0]} HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n", f"GET {paths[0]} HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(line.encode())
            raw.recv(1000)
    said = [
        server.log,
        *(body.decode() for _, body in map(server.get, ("/metrics", "/metrics?format=prometheus"))),
    ]
    files = [path for path in server.folder.rglob("*") if path.is_file() and path.name != "stdin"]
    assert any("spool" in str(path) for path in files)
    for needle in needles:
        assert not [text for text in said if needle in text]
        assert not [path for path in files if needle.encode() in path.read_bytes()]


def test_what_was_typed_wrongly_is_told_and_changes_nothing(server: Server) -> None:
    folder = server.folder
    before = listed(folder)
    assert "at least 8" in typed(folder, "add", "--password-stdin", password="short").err
    assert "--password-stdin" in typed(folder, "add").err
    for wrong in (
        ["add", "--hosts", "a/b"],
        ["add", "--expires", "tomorrow"],
        ["add", "--expires", "0001-01-01"],
        ["add", "--uid", "x"],
        ["add", "--name", "a\nb"],
        ["passwd", "x"],
        ["disable"],
        ["add", "--password", PASSWORD],
    ):
        assert typed(folder, *wrong).code == 2, wrong
    missing = typed(folder, "disable", "018f6f2e-0000-7000-8000-000000000009")
    assert (missing.code, missing.err) == (
        1,
        "tracker: there is no account 018f6f2e-0000-7000-8000-000000000009\n",
    )
    assert listed(folder) == before


def test_the_control_socket_takes_hashes_and_no_passwords(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(server.folder / "data" / "tracker.sock"))
        body = json.dumps({"pwd": PASSWORD})
        control.sendall(
            f"POST /accounts/add HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = control.recv(4000)
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"argon2id hash" in answer
