"""Wishes and consent at a real server: what every route keeps of whom, and what no file of it holds."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.server import Server, running

ADDRESS = "203.0.113.77"
VID = "0199d7a4-0000-7000-8000-000000000001"
UID = "0199d7a4-0000-7000-8000-000000000002"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
BROWSER = {"X-Forwarded-For": ADDRESS, "User-Agent": CHROME, "Cookie": f"vid={VID}"}
GPC, DNT = {**BROWSER, "Sec-GPC": "1"}, {**BROWSER, "DNT": "1"}
PRIVACY = {
    "DNT": "drop",
    "Consent": [
        {"Regions": ["EU"], "Basis": "opt-in"},
        {"Regions": ["FR"], "Basis": "opt-in", "Purposes": ["marketing"], "Otherwise": "drop"},
        {"Regions": ["US-CA"], "Basis": "opt-out"},
    ],
    "UseStoredAgreements": True,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("privacy")
    (folder / "public").mkdir()
    (folder / "public" / "a.txt").write_text("a file", encoding="utf-8")
    batching = {"default": {"MaxBatchTime": 0.2}}
    with running(
        folder,
        Privacy=PRIVACY,
        Batching=batching,
        StaticDirectory="public",
        RedirectHosts=["example.org"],
    ) as server:
        yield server


def ask(server: Server, path: str, headers: dict[str, str], body: Any = None) -> tuple[int, Any, bytes]:
    """Status, headers and body, redirects not followed."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers)  # noqa: S310 (loopback)
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


async def over_socket(server: Server, headers: dict[str, str], messages: list[Any]) -> tuple[list[Any], Any]:
    """The answers to messages of one WebSocket, and the headers of its upgrade."""
    url = f"{server.url}/tr/v1/ws?ack=1"
    async with aiohttp.ClientSession() as client, client.ws_connect(url, headers=headers) as socket:
        answers = []
        for message in messages:
            await socket.send_json(message)
            answers.append(await socket.receive_json(timeout=5))
        return answers, socket._response.headers


def events_of(server: Server, start: str, count: int) -> dict[str, dict[str, Any]]:
    """The events whose names start so, by name, once there are so many."""
    found = server.rows_when(f"SELECT * FROM events WHERE starts_with(ename, '{start}')", count)  # noqa: S608 (ours)
    assert len(found) == count
    return {row["ename"]: row for row in found}


def is_anonymous(row: dict[str, Any], ground: str) -> bool:
    empty = ("ip", "iphash", "ja4h", "city", "zip", "tz", "lat", "lon", "is_new")
    return (
        row["ground"] == ground
        and row["vid"][14] == row["sid"][14] == "8"
        and row["browser"] == "chrome"
        and set(row["uid"]) == {"0", "-"}
        and not any(row[name] for name in empty)
    )


def test_the_statement_says_that_the_signal_is_honoured(server: Server) -> None:
    status, headers, body = ask(server, "/.well-known/gpc.json", {})
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"gpc": True, "lastUpdate": f"{datetime.now(UTC):%Y-%m-%d}"}


def test_a_browser_that_sends_the_signal_is_anonymous_on_every_route(server: Server) -> None:
    said = {"uid": UID, "tz": "Europe/Vienna", "cflags": 1, "lat": 48.2, "lon": 16.4}
    assert ask(server, "/tr/v1/tr/", GPC, {"ename": "r_tr", **said})[0] == 200
    assert ask(server, "/tr/v1/str/", GPC, {"ename": "r_str", "vid": VID, **said})[0] == 200
    assert ask(server, f"/tr/v1/img/?ename=r_img&uid={UID}&cflags=1", GPC)[0] == 200
    assert ask(server, "/tr/v1/rdr/?ename=r_rdr&cflags=1&url=https://example.org/", GPC)[0] == 302
    assert ask(server, "/tr/v1/pub/a.txt?ename=r_pub&cflags=1", GPC)[0] == 200
    asyncio.run(over_socket(server, GPC, [{"ename": "r_ws", **said}]))
    rows = events_of(server, "r_", 6)
    told_by_server = rows.pop("r_str")
    assert (told_by_server["ground"], told_by_server["vid"][14]) == ("gpc", "8")
    assert all(is_anonymous(row, "gpc") for row in rows.values()), rows
    assert len({row["vid"] for row in rows.values()}) == 1
    assert told_by_server["vid"] not in {VID, rows["r_tr"]["vid"]}


def test_nobody_who_is_withheld_gets_a_cookie_and_everyone_else_does(server: Server) -> None:
    plain = {"X-Forwarded-For": ADDRESS, "User-Agent": CHROME}
    for headers, expected in ((plain, 2), ({**plain, "Sec-GPC": "1"}, 0), ({**plain, "DNT": "1"}, 0)):
        for path, body in (("/tr/v1/tr/", {}), ("/tr/v1/tr/", [{}]), ("/tr/v1/img/", None)):
            _, told, _ = ask(server, path, headers, body)
            assert len(told.get_all("Set-Cookie", [])) == expected, (path, headers)
        _, upgrade = asyncio.run(over_socket(server, headers, []))
        assert len(upgrade.getall("Set-Cookie", [])) == expected


@pytest.mark.long
def test_a_dropped_event_is_answered_like_any_other_and_leaves_only_a_count(server: Server) -> None:
    before = dropped(server, "dnt")
    kept, gone = (
        ask(server, "/tr/v1/tr/", headers, {"ename": "d_tr", "uid": UID})[::2] for headers in (BROWSER, DNT)
    )
    assert kept == gone == (200, b"")
    assert len(json.loads(ask(server, "/tr/v1/str/", DNT, {"ename": "d_str"})[2])) == 36
    answers, _ = asyncio.run(over_socket(server, DNT, [{"ename": "d_ws"}]))
    assert answers == [{"seq": 1, "accepted": 1, "rejected": []}]
    assert list(events_of(server, "d_", 1)) == ["d_tr"]
    deadline = time.monotonic() + 10
    while dropped(server, "dnt") < before + 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert dropped(server, "dnt") == before + 3


def holding(folder: Path, *secrets: str) -> set[tuple[str, str]]:
    """Every file in which one of these texts stands."""
    return {
        (path.name, secret)
        for path in folder.rglob("*")
        if path.is_file()
        for secret in secrets
        if secret.encode() in path.read_bytes()
    }


def dropped(server: Server, ground: str) -> int:
    rows = server.rows(f"SELECT coalesce(sum(total), 0) AS n FROM counters WHERE id = 'dropped_{ground}'")  # noqa: S608
    return int(rows[0]["n"])


def test_each_event_of_a_batch_is_judged_by_its_own_place_and_consent(server: Server) -> None:
    events = [
        {"ename": "b_at", "tz": "Europe/Vienna"},
        {"ename": "b_at_yes", "tz": "Europe/Vienna", "cflags": 1},
        {"ename": "b_fr", "tz": "Europe/Paris", "cflags": 1024},
        {"ename": "b_fr_yes", "tz": "Europe/Paris", "cflags": 4096},
        {"ename": "b_ca_no", "country": "us", "region": "California", "cflags": 0},
        {"ename": "b_ca", "country": "us", "region": "California"},
        {"ename": "b_nowhere"},
        [],
    ]
    status, _, body = ask(server, "/tr/v1/tr/", {"X-Forwarded-For": ADDRESS, "User-Agent": CHROME}, events)
    assert status == 200
    assert (json.loads(body)["accepted"], len(json.loads(body)["rejected"])) == (7, 1)
    found = events_of(server, "b_", 6)
    assert {name: row["ground"] for name, row in found.items()} == {
        "b_at": "no_consent",
        "b_at_yes": "",
        "b_fr_yes": "",
        "b_ca_no": "refused_consent",
        "b_ca": "",
        "b_nowhere": "",
    }
    assert len({row["vid"] for row in found.values() if row["ground"]}) == 1
    assert len({row["vid"] for row in found.values() if not row["ground"]}) == 1


def test_a_visitor_s_stored_agreement_speaks_until_it_is_taken_back(server: Server) -> None:
    headers = {"X-Forwarded-For": ADDRESS, "User-Agent": CHROME}
    event = {"vid": UID, "tz": "Europe/Vienna"}
    assert ask(server, "/tr/v1/tr/", headers, {**event, "ename": "s_before"})[0] == 200
    assert ask(server, "/tr/v1/ppi/agree", headers, {"vid": UID, "cflags": 4096})[0] == 200
    assert ask(server, "/tr/v1/tr/", headers, {**event, "ename": "s_agreed"})[0] == 200
    assert ask(server, "/tr/v1/ppi/agree", headers, {"vid": UID, "cflags": 0})[0] == 200
    assert ask(server, "/tr/v1/tr/", headers, [{**event, "ename": "s_after"}])[0] == 200
    grounds = {name: row["ground"] for name, row in events_of(server, "s_", 3).items()}
    assert grounds == {"s_before": "no_consent", "s_agreed": "", "s_after": "refused_consent"}


def test_no_file_of_the_server_holds_an_address_or_what_names_a_person(server: Server) -> None:
    secrets = (ADDRESS, "ann.smith@example.org", "+41791234567", "ann_the_user")
    person = {"email": secrets[1], "cell": secrets[2], "uname": secrets[3]}
    wrapped = {"note": f"from {ADDRESS}", "deep": [{"ip": ADDRESS, **person}]}
    for headers in (BROWSER, GPC, DNT):
        ask(server, "/tr/v1/tr/", headers, {"ename": "x", **person, "params": wrapped, "ip": ADDRESS})
        ask(server, "/tr/v1/str/", headers, {"ename": "x", **person, "note": wrapped})
        paid = {"revenue": 1, "orid": VID, **person, "params": wrapped}
        assert ask(server, "/tr/v1/ltv/", headers, paid)[0] == 200
        agreed = {"vid": VID, "cflags": 1, **person, "compliances": {"said": wrapped}}
        assert ask(server, "/tr/v1/ppi/agree", headers, agreed)[0] == 200
        asyncio.run(over_socket(server, headers, [{"ename": "x", **person, "more": wrapped}]))
    time.sleep(0.5)
    assert holding(server.folder, *secrets) == set()
    assert holding(server.folder, "example.org") != set()


def test_what_was_withheld_is_counted_by_outcome_and_ground(server: Server) -> None:
    ask(server, "/tr/v1/tr/", GPC, {})
    ask(server, "/tr/v1/tr/", DNT, {})
    text = server.get("/metrics?format=prometheus")[1].decode()
    for outcome, ground in (("anonymise", "gpc"), ("drop", "dnt")):
        assert f'tracker_events_withheld_total{{ground="{ground}",outcome="{outcome}"}}' in text


@pytest.mark.long
def test_the_day_s_key_survives_a_restart_and_is_destroyed_after_its_day(tmp_path: Path) -> None:
    with running(tmp_path, Batching={"default": {"MaxBatchTime": 0.2}}) as server:
        ask(server, "/tr/v1/tr/", GPC, {"ename": "k_one"})
        server.kill()
        server.start_again()
        ask(server, "/tr/v1/tr/", GPC, {"ename": "k_two"})
        server.stop()
        (key,) = (tmp_path / "data" / "spool" / "keys").glob("day-*")
        old = key.with_name(f"day-{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}.key")
        key.rename(old)
        server.start_again()
        assert not old.exists()
        ask(server, "/tr/v1/tr/", GPC, {"ename": "k_three"})
        found = events_of(server, "k_", 3)
    one, two, three = (found[f"k_{name}"] for name in ("one", "two", "three"))
    assert one["vid"] == two["vid"] != three["vid"]
    assert one["sid"] == two["sid"] != three["sid"]
