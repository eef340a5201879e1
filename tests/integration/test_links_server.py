"""Short links as a person uses them: a real server, an account, restarts, both stores, the helper pages."""

import http.client
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.server import Server, running

PASSWORD = "a good/pass word"
PUBLIC = Path(__file__).parents[2] / "public"
WAITS: dict[str, Any] = {"redirects": {"Strategy": "time", "MaxBatchTime": "1h"}}
"""Rows of links stay in the spool."""


def account(server: Server, *options: str) -> str:
    """The uid of a new account with PASSWORD."""
    added = server.command(
        "accounts", "add", "--config", str(server.config), "--password-stdin", *options, stdin=PASSWORD
    )
    assert added.returncode == 0, added.stderr
    return added.stdout.strip()


def follow(server: Server, path: str, host: str = "go.example", **headers: str) -> http.client.HTTPResponse:
    """The answer to a click, not followed."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host, **headers})
        return connection.getresponse()
    finally:
        connection.close()


def make(server: Server, uid: str, urlfrom: str, urlto: str) -> tuple[int, bytes]:
    """Status and body of a link made in the original's way."""
    path = f"/tr/v1/rpi/redirect/{uid}/{quote(PASSWORD, safe='')}"
    return server.post(path, {"urlfrom": urlfrom, "urlto": urlto, "slugfrom": "/short", "oid": "org-id"})


def listed(server: Server, uid: str, host: str) -> list[dict[str, Any]]:
    bearer = {"Authorization": f"Bearer {b64encode(f'{uid}:{PASSWORD}'.encode()).decode()}"}
    status, body = server.get(f"/tr/v1/rpi/redirects/{host}", bearer)
    assert status == 200, body
    results: list[dict[str, Any]] = json.loads(body)["results"]
    return results


@pytest.mark.long
def test_a_link_that_waits_in_the_spool_is_followed_and_listed_also_after_a_kill(tmp_path: Path) -> None:
    with running(tmp_path, Batching=WAITS) as server:
        uid = account(server, "--hosts", "go.example")
        assert make(server, uid, "https://go.example/Sale", "https://shop.example/a?utm_source=x") == (
            200,
            b"",
        )
        assert make(server, uid, "https://else.example/x", "https://shop.example/")[0] == 403
        server.kill()
        server.start_again()
        answer = follow(server, "/sale")
        assert (answer.status, answer.getheader("Location")) == (302, "https://shop.example/a?utm_source=x")
        assert make(server, uid, "https://go.example/sale", "https://shop.example/b") == (200, b"")
        assert follow(server, "/sale").getheader("Location") == "https://shop.example/b"
        assert [row["pathto"] for row in listed(server, uid, "go.example")] == ["/b", "/a"]
        assert server.rows("SELECT * FROM redirects") == []
        clicks = server.rows_when("SELECT last, etyp FROM events WHERE ename = 'short_rdr'", 2)
        assert clicks == [{"last": "/sale", "etyp": "redirect"}] * 2
        assert server.stop() == 0
        held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        for written in (PASSWORD, quote(PASSWORD, safe=""), PASSWORD.replace("/", "\\/")):
            assert written.encode() not in held


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server, and the uid of an administrator."""
    sections: dict[str, Any] = {
        "Privacy": {"GPC": "anonymise"},
        "Domains": ["tr.example"],
        "StaticDirectory": str(PUBLIC),
    }
    with running(tmp_path_factory.mktemp("links"), **sections) as server:
        yield server, account(server, "--admin")


def test_a_click_that_is_anonymised_sets_no_cookie(shared: tuple[Server, str]) -> None:
    server, uid = shared
    assert make(server, uid, "https://go.example/a", "https://shop.example/")[0] == 200
    assert follow(server, "/a").getheader("Set-Cookie")
    answer = follow(server, "/a", **{"Sec-GPC": "1"})
    assert (answer.status, answer.getheader("Set-Cookie")) == (302, None)


@pytest.mark.long
def test_an_organisations_host_comes_by_command(shared: tuple[Server, str]) -> None:
    server, uid = shared
    org = {"oid": "acme", "org": "Acme", "default_destination_host": "shop.example"}
    sent = server.command("send", "--config", str(server.config), "--kind", "org", "-", stdin=json.dumps(org))
    assert sent.returncode == 0, sent.stderr
    assert server.rows_when("SELECT org FROM orgs", 1) == [{"org": "Acme"}]
    tracked = "https://tr.example/tr/v1/rdr/?url=/offer&oid=acme&utm_source=News"
    assert make(server, uid, "https://go.example/offer", tracked) == (200, b"")
    assert follow(server, "/offer").getheader("Location") == "https://shop.example/offer"
    (event,) = server.rows_when("SELECT source, ename FROM events WHERE url = '/offer'", 1)
    assert event == {"source": "news", "ename": "short_rdr"}


def test_the_helper_pages_are_served(shared: tuple[Server, str]) -> None:
    for name in ("shorten_url.html", "shorten_url.js", "track_url.html", "track_url.js", "helper.css"):
        assert shared[0].get(f"/tr/v1/pub/{name}") == (200, (PUBLIC / name).read_bytes())


@pytest.mark.long
def test_links_work_alike_in_embedded_clickhouse(tmp_path: Path) -> None:
    store = [{"Service": "clickhouse", "Hosts": ["embedded"], "Context": str(tmp_path / "clickhouse")}]
    with running(tmp_path, Notify=store) as server:
        uid = account(server, "--hosts", "go.example")
        deadline = (
            time.monotonic() + 30
        )  # the engine is being opened, and until then nobody knows what is there
        while make(server, uid, "https://go.example/x", "https://shop.example/")[0] == 503:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        for number in range(3):
            assert make(server, uid, "https://go.example/sale", f"https://shop.example/{number}")[0] == 200
        assert follow(server, "/sale").getheader("Location") == "https://shop.example/2"
        rows = server.rows_when("SELECT urlto FROM redirect_history FINAL", 4)
        assert len(rows) == 4
        assert server.stop() == 0
        server.start_again()
        assert follow(server, "/sale").getheader("Location") == "https://shop.example/2"
        assert [row["pathto"] for row in listed(server, uid, "go.example")] == ["/2", "/1", "/0", "/"]
        current = server.rows("SELECT urlfrom, urlto FROM redirects FINAL WHERE urlfrom LIKE '%sale'")
        assert current == [{"urlfrom": "go.example/sale", "urlto": "https://shop.example/2"}]
