"""Places with a real server: in rows of every route, in answers, from databases that change while it runs."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.places import SEOUL, ZURICH, bin_file, real_mmdb
from tests.support.server import Server, running
from tests.support.typed import typed_here
from tests.unit.config.support import config_of
from tracker.settings import address_databases

HERE, THERE, OTHER = "195.186.1.1", "8.8.8.8", "1.208.0.1"
NEAR = {"country": "CH", "region": "zurich", "city": "zurich", "zip": "8001"}
AT_ONCE = {"default": {"Strategy": "immediate"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("geo")
    (folder / "places.bin").write_bytes(bin_file())
    databases = [str(folder / "places.bin"), str(real_mmdb())]
    with running(folder, GeoIPDatabase=databases, Batching=AT_ONCE) as one:
        yield one


def client(ip: str) -> dict[str, str]:
    """Headers of a trusted proxy that passes on what this address sent."""
    return {"X-Forwarded-For": ip}


@pytest.fixture(scope="module")
def rows(server: Server) -> dict[str, dict[str, Any]]:
    """The place of every event sent here, by its name; an agreement's by `agreement`."""
    assert server.post("/tr/v1/tr/", {"ename": "near", "vid": "a"}, client(HERE))[0] == 200
    for route in ("tr", "str", "img"):
        assert server.get(f"/tr/v1/{route}/ename/far-{route}/", client(THERE))[0] == 200
    sent = {"ename": "sent", "tz": "Europe/Berlin", "region": "Bavaria", "lat": 48.1, "lon": 11.5}
    assert server.post("/tr/v1/tr/", sent, client(HERE))[0] == 200
    assert server.post("/tr/v1/ppi/agree", {"vid": "agreeing", "cflags": 1}, client(HERE))[0] == 200
    asyncio.run(send_by_websocket(server, {"ename": "zone", "tz": "America/Blanc-Sablon"}))
    told = "region, zip, tz, lat, lon, country"
    question = (
        f"SELECT ename, city, {told} FROM events"  # noqa: S608 (ours)
        f" UNION ALL SELECT 'agreement', '', {told} FROM agreements"
    )
    return {row["ename"]: row for row in server.rows_when(question, 7)}


async def send_by_websocket(server: Server, message: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{server.url}/tr/v1/ws") as socket:
        await socket.send_json(message)


def test_an_event_has_the_place_of_its_address_and_not_the_address(
    server: Server, rows: dict[str, dict[str, Any]]
) -> None:
    assert {name: rows["near"][name] for name in NEAR} == NEAR
    assert (rows["near"]["lat"], rows["near"]["lon"]) == pytest.approx((ZURICH.lat, ZURICH.lon), abs=1e-5)
    kept = [path.read_bytes() for path in server.folder.rglob("*") if path.is_file()]
    assert not any(HERE.encode() in content for content in kept)


@pytest.mark.parametrize("route", ["tr", "str", "img"])
def test_a_real_database_tells_the_country_on_every_route(
    rows: dict[str, dict[str, Any]], route: str
) -> None:
    row = rows[f"far-{route}"]
    assert (row["country"], row["city"], row["lat"]) == ("US", "", 0)


def test_what_was_sent_wins_part_by_part(rows: dict[str, dict[str, Any]]) -> None:
    kept = {"ename": "sent", "country": "DE", "region": "bavaria", "city": "zurich", "zip": "8001"}
    assert rows["sent"] == kept | {"tz": "europe/berlin", "lat": 48.1, "lon": 11.5}


def test_a_time_zone_over_a_websocket_tells_the_country_of_a_private_address(
    rows: dict[str, dict[str, Any]],
) -> None:
    assert (rows["zone"]["country"], rows["zone"]["region"]) == ("CA", "")


def test_an_agreement_has_the_place_of_its_address(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["agreement"]
    assert (row["country"], row["region"]) == ("CH", "zurich")
    assert row["lat"] == pytest.approx(ZURICH.lat, abs=1e-5)


def geoip(server: Server, query: str = "", **headers: str) -> tuple[int, Any]:
    status, body = server.get(f"/tr/v1/ppi/geoip{query}", headers)
    return status, json.loads(body) if status == 200 else body.decode()


def test_everybody_is_told_where_they_are_themselves(server: Server) -> None:
    status, told = geoip(server, **client(HERE))
    assert status == 200
    assert (told.pop("lat"), told.pop("lon")) == pytest.approx((ZURICH.lat, ZURICH.lon), abs=1e-5)
    place = {"iso2": "CH", "country": "Switzerland", "region": "Zurich", "city": "Zurich"}
    assert told == place | {"zip": "8001", "tz": "+01:00"}
    assert geoip(server, f"?ip={HERE}", **client(HERE))[1]["city"] == "Zurich"
    assert geoip(server, "?ip=", **client(THERE)) == (200, {"iso2": "US", "country": "United States"})
    assert geoip(server) == (400, "Not Found (IP)")


@pytest.mark.parametrize("query", [f"?ip={OTHER}", "?ip=999.1.1.1", "?ip=%00", f"?x=1&IP={OTHER}"])
def test_another_address_takes_an_account(server: Server, query: str) -> None:
    assert geoip(server, query, **client(HERE))[0] == 401
    assert geoip(server, query, **client(HERE), Authorization="Basic eDp5") == (401, "Bad pass")


@pytest.fixture(scope="module")
def headers(server: Server) -> dict[str, str]:
    """Those of an account, from HERE."""
    words = ("accounts", "add", "--config", str(server.config), "--password-stdin")
    added = server.command(*words, stdin="correct horse battery\n")
    assert added.returncode == 0, added.stderr
    login = base64.b64encode(f"{added.stdout.split()[-1]}:correct horse battery".encode()).decode()
    return {**client(HERE), "Authorization": f"Basic {login}"}


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60).map(quote) | st.binary(max_size=30).map(quote) | st.ip_addresses().map(str))
def test_any_text_as_an_address_is_answered(server: Server, headers: dict[str, str], sent: str) -> None:
    status, told = geoip(server, f"?ip={sent}", **headers)
    assert status == 200 or (status, told) in ((400, "Bad Request (IP)"), (400, "Not Found (IP)"))


def test_an_account_is_told_where_another_address_is(server: Server, headers: dict[str, str]) -> None:
    assert geoip(server, f"?ip={OTHER}", **headers)[1]["city"] == "Seoul"
    assert geoip(server, "?ip=2001:1600::7", **headers)[1]["city"] == "Zurich"
    assert geoip(server, "?ip=no+address", **headers) == (400, "Bad Request (IP)")
    assert geoip(server, f"?ip={'1' * 5000}", **headers) == (400, "Bad Request (IP)")
    assert geoip(server, "?ip=10.0.0.1", **headers) == (400, "Not Found (IP)")


def test_check_tells_which_database_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bin_file())
    config = tmp_path / "config.json"
    config.write_text('{"GeoIPDatabase": ["a.bin", "none.mmdb"]}', encoding="utf-8")
    done = typed_here("--check", str(config))
    assert done.code == 1
    assert f"OK: address database {tmp_path / 'a.bin'} (IP2Location DB11)" in done.out
    assert f"tracker: address database {tmp_path / 'none.mmdb'}: No such file" in done.err


@pytest.mark.long  # a file is looked at every five seconds
def test_without_a_database_that_can_be_read_the_server_runs_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "places.bin"
    with running(tmp_path, GeoIPDatabase=str(file)) as one:
        assert geoip(one, **client(HERE)) == (400, "Service Unavailable")
        assert one.post("/tr/v1/tr/", {"ename": "x"})[0] == 200
        assert one.log.count("no places from it until it can be read") == 1
        file.write_bytes(bin_file({"195.186.0.0/16": SEOUL}))
        until = time.monotonic() + 20
        while geoip(one, **client(HERE))[0] != 200 and time.monotonic() < until:
            time.sleep(0.2)
        assert geoip(one, **client(HERE))[1]["city"] == "Seoul"


def test_places_are_not_looked_up_when_that_is_switched_off(tmp_path: Path) -> None:
    config = {"GeoIPDatabase": ["a.bin", "/b.mmdb"]}
    assert address_databases(config_of(tmp_path, config)) == (tmp_path / "a.bin", Path("/b.mmdb"))
    assert address_databases(config_of(tmp_path, {**config, "UseGeoIP": False})) == ()
