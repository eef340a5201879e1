"""The privacy routes on the real server: agreements told and asked for, repeats, kills, whatever is sent."""

import http.client
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.copies import SERVICES
from tests.support.links import MemoryStore, services_of
from tests.support.rows import SHIPPED
from tests.support.server import Server, running
from tests.support.web import Front, front
from tests.unit.steps.build import documents
from tracker.records.lookup import Lookup
from tracker.steps.ids import named
from tracker.tables.people import AGREEMENTS
from tracker.web.privacy_api import HIDDEN

AGREE = "/tr/v1/ppi/agree"
README = {"vid": "user-id", "cflags": 1024, "tz": "America/Los_Angeles", "lat": 37.7749, "lon": -122.4194}
AGENT = {"User-Agent": "Unheard-Of/9"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("consent")) as started:
        yield started


def agree(server: Server, headers: dict[str, str] | None = None, **body: Any) -> None:
    assert server.post(AGREE, body, headers) == (200, b"")


def now_of(server: Server, query: str) -> list[dict[str, Any]]:
    status, answer = server.get(f"{AGREE}?{query}")
    assert status == 200, answer
    found: list[dict[str, Any]] = json.loads(answer)
    return found


def jurisdictions(server: Server) -> list[dict[str, Any]]:
    """Once the store is open."""
    while (answer := server.get("/tr/v1/ppi/jds"))[0] == 503:
        time.sleep(0.05)
    found: list[dict[str, Any]] = json.loads(answer[1])
    return found


def test_what_the_readme_agrees_to_is_told_at_once_without_address_and_user_agent(server: Server) -> None:
    agree(server, AGENT, **README)
    (row,) = now_of(server, "vid=user-id")
    assert row.keys() == AGREEMENTS.kinds().keys() - HIDDEN
    assert row.items() >= {**README, "vid": named("user-id"), "country": "US"}.items()
    assert "unheard" not in json.dumps(row).lower()
    assert now_of(server, f"vid={named('user-id').upper()}") == [row]


def test_the_latest_agreement_of_each_organisation_is_the_current_one(server: Server) -> None:
    for oid, cflags in (("shop", 1), ("shop", 2), ("blog", 4)):
        agree(server, vid="twice", oid=oid, cflags=cflags)
    assert {row["oid"]: row["cflags"] for row in now_of(server, "vid=twice")} == {
        named("shop"): 2,
        named("blog"): 4,
    }
    (only,) = now_of(server, "VID=twice&oid=blog")
    assert only["cflags"] == 4
    sql = f"SELECT cflags FROM agreed WHERE vid = '{named('twice')}'"  # noqa: S608 (our own)
    assert sorted(row["cflags"] for row in server.rows_when(sql, 3)) == [1, 2, 4]
    sql = f"SELECT cflags FROM agreements WHERE vid = '{named('twice')}'"  # noqa: S608 (our own)
    assert sorted(row["cflags"] for row in server.rows(sql)) == [2, 4]


def test_a_cookie_says_who_asks_and_who_agrees(server: Server) -> None:
    cookie = {"Cookie": f"vid={named('cookie')}; CookieConsent=7"}
    agree(server, cookie, app="x")
    status, answer = server.get(AGREE, cookie)
    assert (status, json.loads(answer)[0]["cflags"]) == (200, 7)


def test_nobody_and_a_stranger_have_agreed_to_nothing(server: Server) -> None:
    assert server.get(AGREE) == (404, b"[]")
    assert server.get(f"{AGREE}?vid=") == (404, b"[]")
    assert now_of(server, "vid=stranger") == []


@pytest.mark.long
def test_a_repeat_is_one_line_of_the_ledger_and_never_takes_a_later_agreement_back(server: Server) -> None:
    once = {"Idempotency-Key": "form-1"}
    agree(server, once, vid="again", cflags=1)
    agree(server, vid="again", cflags=0)
    agree(server, once, vid="again", cflags=1)
    assert [row["cflags"] for row in now_of(server, "vid=again")] == [0]
    sql = f"SELECT cflags FROM agreed WHERE vid = '{named('again')}'"  # noqa: S608 (our own)
    assert sorted(row["cflags"] for row in server.rows_when(sql, 2)) == [0, 1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", b"Bad request (body)"),
        (b" \n", b"Bad request (body)"),
        (b"{", b"Bad request (data)"),
        (b"[]", b"Bad request (data)"),
        (b'{"vid":"\\ud800"}', b"Bad request (data)"),
        (b"{}", b"User not provided"),
        (b'{"vid":"a","cflags":"x"}', b"cflags: expected a whole number of 64 bits"),
        (b'{"vid":"a","ref":[]}', b"ref: expected a UUID or a text that stands for one"),
    ],
    ids=str,
)
def test_what_cannot_be_an_agreement_is_refused_in_words(server: Server, body: bytes, reason: bytes) -> None:
    assert server.post(AGREE, body) == (400, reason)


def test_an_agreement_has_a_bound(server: Server) -> None:
    assert server.post(AGREE, {"vid": "a", "app": "x" * 300_000})[0] == 413


def test_other_actions_and_methods_are_refused(server: Server) -> None:
    assert server.get("/tr/v1/ppi/other") == (400, b"Unknown action")
    assert server.get("/tr/v1/ppi/") == (400, b"Unknown action")
    assert server.get("/tr/v1/ppi/agree/deeper") == (404, b"no such route")
    assert server.post("/tr/v1/ppi/jds", {}) == (405, b"method not allowed here")


def test_the_jurisdictions_are_told_as_the_store_has_them(server: Server) -> None:
    told = jurisdictions(server)
    asked = "SELECT regulation, compliance, seq FROM jurisdictions ORDER BY ALL"
    stored = [tuple(row.values()) for row in server.rows(asked)]
    assert [(row["regulation"], row["compliance"], row["seq"]) for row in told] == stored
    assert len(stored) == SHIPPED["jurisdictions"]


def test_nothing_that_names_a_person_reaches_the_disk(server: Server) -> None:
    mark = "nobody.should.keep"
    agree(
        server,
        vid="private",
        email=f"{mark}@example.com",
        url=f"https://x/?a={mark}",
        compliances={"cell": mark},
    )
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if mark.encode() in path.read_bytes()]


@pytest.mark.long
def test_what_was_agreed_to_survives_a_kill_before_any_store_has_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        agree(server, vid="killed", cflags=3)
        server.kill()
        server.start_again()
        (row,) = now_of(server, "vid=killed")
        assert row["cflags"] == 3
        for table in ("agreements", "agreed"):
            assert [row["cflags"] for row in server.rows_when(f"SELECT cflags FROM {table}", 1)] == [3]  # noqa: S608 (our own)


@pytest.mark.long
@pytest.mark.parametrize("service", SERVICES)
def test_the_answer_is_the_same_before_and_after_the_store_has_it(tmp_path: Path, service: str) -> None:
    notify: dict[str, Any] = {"Service": service, "Context": str(tmp_path / "store")}
    if service == "clickhouse":
        notify["Hosts"] = ["embedded"]
    with running(tmp_path, Notify=[notify]) as server:
        agree(server, AGENT, **README, compliances={"gdpr": ["a", 1]}, oid="shop", w=800)
        jurisdictions(server)
        waiting = now_of(server, "vid=user-id")
        assert len(server.rows_when("SELECT cflags FROM agreed", 1)) == 1
        assert len(server.rows_when("SELECT cflags FROM agreements", 1)) == 1
        assert server.stop() == 0
        server.start_again()
        assert len(jurisdictions(server)) == SHIPPED["jurisdictions"]
        assert now_of(server, "vid=user-id") == waiting


@pytest.fixture
async def shared() -> AsyncIterator[tuple[Front, MemoryStore]]:
    """The routes upon a store that others write to as well, and that can be away."""
    store = MemoryStore()
    lookups: dict[str, Any] = {
        "consents": Lookup("agreements", "vid", store),
        "jurisdictions": Lookup("jurisdictions", "regulation", store),
    }
    async with front(services=replace(services_of(store), **lookups)) as web:
        yield web, store


async def test_while_the_store_is_away_what_was_told_here_is_known_and_nothing_else(
    shared: tuple[Front, MemoryStore],
) -> None:
    web, store = shared
    store.is_away = True
    async with web.client.post(web.url + AGREE, data='{"vid": "here", "cflags": 5}') as answer:
        assert answer.status == 200
    async with web.client.get(f"{web.url}{AGREE}?vid=here") as answer:
        assert [row["cflags"] for row in await answer.json()] == [5]
    for path in (f"{AGREE}?vid=elsewhere", "/tr/v1/ppi/jds"):
        async with web.client.get(web.url + path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_what_was_told_to_another_instance_is_known_once_the_store_has_it(
    shared: tuple[Front, MemoryStore],
) -> None:
    web, store = shared
    later = "2126-11-23 00:00:00.000Z"
    async with web.client.post(web.url + AGREE, data='{"vid": "both", "cflags": 1}') as answer:
        assert answer.status == 200
    store.put("agreements", vid=named("both"), oid=named("shop"), cflags=2, updated_at=later)
    store.put("agreements", vid=named("both"), cflags=3, updated_at=later)
    async with web.client.get(f"{web.url}{AGREE}?vid=both") as answer:
        assert sorted(row["cflags"] for row in await answer.json()) == [2, 3]


async def test_what_cannot_be_stored_is_not_known_either(shared: tuple[Front, MemoryStore]) -> None:
    web, _ = shared
    web.spooler.fail()
    async with web.client.post(web.url + AGREE, data='{"vid": "lost", "cflags": 5}') as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    async with web.client.get(f"{web.url}{AGREE}?vid=lost") as answer:
        assert await answer.json() == []


async def test_agreements_are_counted_and_what_is_asked_is_not(shared: tuple[Front, MemoryStore]) -> None:
    web, _ = shared
    for body in ('{"vid": "a"}', "{}"):
        async with web.client.post(web.url + AGREE, data=body):
            pass
    async with web.client.get(web.url + AGREE):
        pass
    assert web.count("tracker_events_received_total", route="ppi") == 2
    assert web.count("tracker_events_accepted_total", route="ppi") == 1
    assert web.count("tracker_events_rejected_total", route="ppi", reason="missing_vid") == 1


KEYS = sorted({*AGREEMENTS.kinds(), "w", "h", "id", "eid", "email"})
BODIES = st.one_of(
    st.binary(max_size=40),
    documents.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(KEYS), documents, max_size=6).map(
        lambda values: json.dumps({"vid": "fuzz", **values}).encode()
    ),
)


def test_whatever_is_sent_is_taken_or_refused_in_words(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(BODIES, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
    def send(body: bytes, query: str) -> None:
        connection.request("POST", AGREE, body)
        answer = connection.getresponse()
        said = answer.read()
        assert (answer.status == 200 and not said) or (answer.status == 400 and said), said
        connection.request("GET", f"{AGREE}?vid={query}")
        asked = connection.getresponse()
        asked.read()
        assert asked.status in (200, 404)

    send()
    connection.close()
