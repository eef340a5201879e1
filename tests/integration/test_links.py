"""Short links over real sockets: made, listed, followed; what may not be made is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.links import ADMIN, PASSWORD, UID, MemoryStore, services_of
from tests.support.web import LOOPBACK, Front, front
from tracker.steps import ids
from tracker.web import links
from tracker.web.settings import WebSettings

SETTINGS = WebSettings(trusted_proxies=LOOPBACK, metrics_from=LOOPBACK, domains=("tr.example",))
IN_PATH = f"{UID}/{quote(PASSWORD, safe='')}"
HEADER = {"Authorization": f"Bearer {UID}:{PASSWORD}"}
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}:{PASSWORD}"}
FROM, TO = "https://go.example/Sale", "https://shop.example/a?utm_source=test"
OID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"
TRACKED = "https://tr.example/tr/v1/rdr/?url="


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def web(store: MemoryStore) -> AsyncIterator[Front]:
    async with front(SETTINGS, services_of(store)) as running:
        yield running


async def make(
    web: Front, headers: dict[str, str] | None = None, path: str = "redirect", **body: Any
) -> tuple[int, str]:
    """Status and body of a wish for a link."""
    sent = {"urlfrom": FROM, "urlto": TO, **body}
    url = f"{web.url}/tr/v1/rpi/{path}"
    async with web.client.post(url, json=sent, headers=headers or HEADER) as answer:
        return answer.status, await answer.text()


async def follow(
    web: Front, path: str, host: str = "go.example", method: str = "GET", **headers: str
) -> tuple[int, str, list[str]]:
    """Status, Location or body, and names of the cookies set."""
    sent = {"Host": host, **headers}
    async with web.client.request(method, f"{web.url}{path}", headers=sent, allow_redirects=False) as answer:
        cookies = [line.partition("=")[0] for line in answer.headers.getall("Set-Cookie", [])]
        return answer.status, answer.headers.get("Location") or await answer.text(), cookies


def rows(web: Front, table: str) -> list[dict[str, Any]]:
    stored = [row for entry in web.spooler.entries for row in entry.rows if row.table == table]
    return [json.loads(row.line) for row in stored]


async def test_a_link_is_durable_when_it_is_answered_and_is_followed_at_once(web: Front) -> None:
    assert await make(web, {"X": "y"}, f"redirect/{IN_PATH}", slugfrom="/else", oid="org-id") == (200, "")
    (entry,) = web.spooler.entries
    assert [row.table for row in entry.rows] == ["redirects", "redirect_history"]
    assert rows(web, "redirects")[0]["updater"] == UID
    assert rows(web, "redirect_history")[0]["pathto"] == "/a"
    assert rows(web, "redirect_history")[0]["slugfrom"] == "/sale"
    assert await follow(web, "/sale") == (302, TO, ["vid", "sid"])
    assert await follow(web, "/SALE?x=1", "GO.example:8443") == (302, TO, ["vid", "sid"])
    assert (await follow(web, "/s%61le", "127.0.0.1", **{"X-Forwarded-Host": "go.example"}))[0] == 302
    assert web.count("tracker_short_links_total", outcome="followed") == 3


async def test_a_click_is_a_browsers_event_that_nobody_waits_for(web: Front) -> None:
    await make(web)
    web.spooler.open.clear()
    status, _, _ = await follow(web, "/sale?utm_campaign=May&Q=1", Cookie=f"vid={OID}")
    assert (status, web.events) == (302, [])
    web.spooler.open.set()
    (event,) = await web.until(1)
    assert (event["etyp"], event["ename"], event["is_client"]) == ("redirect", "short_rdr", True)
    assert (event["last"], event["url"], event["campaign"]) == ("/sale", "/sale", "may")
    assert (event["vid"], event["params"]) == (OID, {"Q": "1"})


async def test_clicks_together_are_all_stored(web: Front) -> None:
    await make(web)
    answers = await asyncio.gather(*(follow(web, "/sale") for _ in range(300)))
    assert {answer[0] for answer in answers} == {302}
    events = await web.until(300)
    assert len({event["eid"] for event in events}) == len({event["vid"] for event in events}) == 300


async def test_asking_for_the_head_of_a_link_is_no_click(web: Front) -> None:
    await make(web)
    assert await follow(web, "/sale", method="HEAD") == (302, TO, [])
    await asyncio.sleep(0.05)
    assert web.events == []


async def test_what_is_no_link_is_404_and_no_event(web: Front) -> None:
    await make(web)
    for path in ("/", "/sale/x", "/other", "/s%2fale", "/a//b", "/%ff", "/..%2fsale", "/sale%00"):
        assert await follow(web, path) == (404, "no such route", []), path
    assert (await follow(web, "/sale", "other.example"))[0] == 404
    assert (await follow(web, "/sale", method="POST"))[0] == 404
    await asyncio.sleep(0.02)
    assert web.events == []


async def test_a_link_of_the_store_is_followed_and_one_that_cannot_be_known_is_503(
    web: Front, store: MemoryStore
) -> None:
    store.put("redirects", urlfrom="go.example/old", urlto=TO, updated_at="2026-01-01 00:00:00.000Z")
    store.put("redirects", urlfrom="go.example/bad", urlto="javascript:alert(1)")
    assert (await follow(web, "/old"))[:2] == (302, TO)
    assert (await follow(web, "/bad"))[:2] == (404, "this link leads nowhere")
    store.is_away = True
    assert (await follow(web, "/old"))[:2] == (302, TO)
    async with web.client.get(f"{web.url}/new", headers={"Host": "go.example"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert web.count("tracker_short_links_total", outcome="unavailable") == 1


async def test_a_link_is_changed_at_once_and_keeps_when_it_was_made(web: Front, store: MemoryStore) -> None:
    far = "2199-01-01 00:00:00.000Z"
    store.put("redirects", urlfrom="go.example/sale", urlto=TO, updated_at=far, created_at=far)
    await make(web, urlto="https://b.example/")
    assert (await follow(web, "/sale"))[1] == "https://b.example/"
    await make(web, urlto="https://c.example/")
    assert (await follow(web, "/sale"))[1] == "https://c.example/"
    first, second = rows(web, "redirects")
    assert far < first["updated_at"] < second["updated_at"]
    assert (first["created_at"], second["created_at"]) == (far, far)


async def test_a_tracked_link_says_what_its_clicks_are(web: Front) -> None:
    to = f"{TRACKED}https%3A%2F%2Fa.example%2Fx&utm_source=News&ename=Opened&k=V"
    assert await make(web, urlto=to) == (200, "")
    assert await follow(web, "/sale") == (302, "https://a.example/x", [])
    (event,) = await web.until(1)
    assert (event["etyp"], event["ename"], event["source"]) == ("redirect", "opened", "news")
    assert "is_client" not in event
    assert (event["last"], event["params"]) == ("/sale", {"k": "V"})


async def test_a_tracked_path_is_below_the_organisations_host(web: Front, store: MemoryStore) -> None:
    store.put("orgs", oid=OID, ddata={"default_destination_host": "https://shop.example"})
    await make(web, urlto=f"{TRACKED}/offer&oid={OID}")
    assert (await follow(web, "/sale"))[:2] == (302, "https://shop.example/offer")
    await make(web, urlto=f"{TRACKED}/offer&oid=stranger")
    assert (await follow(web, "/sale"))[:2] == (302, "/offer")


async def test_links_that_lead_in_a_circle_are_refused(web: Front, store: MemoryStore) -> None:
    circle = (400, "Bad URL (self-referential)")
    store.put("redirects", urlfrom="else.example/a", urlto="https://go.example/b?x")
    assert await make(web, urlfrom="https://go.example/b", urlto="https://else.example/A") == circle
    through = f"{TRACKED}{quote(TRACKED, safe='')}{quote(quote('https://else.example/a', safe=''), safe='')}"
    assert await make(web, urlfrom="https://go.example/b", urlto=through) == circle
    assert await make(web, urlfrom="https://go.example/b", urlto=f"{TRACKED}/b") == circle
    assert await make(web, urlfrom="https://go.example/c", urlto="https://go.example/b") == (200, "")
    assert await make(web, urlfrom="https://go.example/b", urlto="https://go.example/c") == circle
    assert web.count("tracker_events_rejected_total", route="rpi", reason="bad_link") == 4


async def test_two_that_are_made_at_once_do_not_lead_to_each_other(web: Front) -> None:
    pairs = [("a", "b"), ("b", "a")]
    answers = await asyncio.gather(
        *(
            make(web, urlfrom=f"https://go.example/{one}", urlto=f"https://go.example/{two}")
            for one, two in pairs
        )
    )
    assert [status for status, _ in answers] != [200, 200]


async def test_too_long_a_chain_is_refused(web: Front, store: MemoryStore) -> None:
    for number in range(20):
        to = f"https://go.example/{number + 1}" if number < 19 else TO
        store.put("redirects", urlfrom=f"go.example/{number}", urlto=to)
    assert (await make(web, urlto="https://go.example/0"))[0] == 400
    assert (await make(web, urlto="https://go.example/15"))[0] == 200


async def test_only_who_owns_a_host_makes_or_lists_its_links(web: Front) -> None:
    refused = (403, "this account does not own that host")
    assert await make(web, urlfrom="https://else.example/x") == refused
    assert await make(web, AS_ADMIN, urlfrom="https://else.example/x") == (200, "")
    assert await make(web, urlfrom="https://B\u00dcCHER.example/x") == (200, "")
    async with web.client.get(f"{web.url}/tr/v1/rpi/redirects/else.example", headers=HEADER) as answer:
        assert (answer.status, await answer.text()) == refused
    assert len(rows(web, "redirects")) == 2


async def test_the_list_of_a_host_is_its_history_newest_first(web: Front, store: MemoryStore) -> None:
    store.put(
        "redirect_history",
        id=OID,
        hostfrom="go.example",
        slugfrom="/old",
        updated_at="2020-01-01 00:00:00.000Z",
    )
    store.put("redirect_history", id=UID, hostfrom="else.example")
    await make(web)
    await make(web, urlfrom="https://go.example/two")
    for path, headers in ((f"{IN_PATH}/GO.example:443", {}), ("go.example/", HEADER)):
        async with web.client.get(f"{web.url}/tr/v1/rpi/redirects/{path}", headers=headers) as answer:
            results = (await answer.json())["results"]
        assert [row["slugfrom"] for row in results] == ["/two", "/sale", "/old"]
        assert set(results[0]) == set(results[2])
    async with web.client.get(
        f"{web.url}/tr/v1/rpi/redirects/go.example?slugfrom=/Two", headers=HEADER
    ) as answer:
        assert [row["urlto"] for row in (await answer.json())["results"]] == [TO]
    store.is_away = True
    async with web.client.get(f"{web.url}/tr/v1/rpi/redirects/go.example", headers=HEADER) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_a_list_that_cannot_be_whole_asks_for_one_link(
    web: Front, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "MOST_READ", 5)
    monkeypatch.setattr(links, "MOST_LISTED", 2)
    for number in range(5):
        row = {
            "id": ids.new_id(),
            "slugfrom": f"/{number % 2}",
            "updated_at": f"2026-01-0{number + 1} 00:00:00.000Z",
        }
        store.put("redirect_history", hostfrom="go.example", **row)
    url = f"{web.url}/tr/v1/rpi/redirects/go.example"
    async with web.client.get(url, headers=HEADER) as answer:
        assert (answer.status, await answer.text()) == (400, links.TOO_MANY)
    async with web.client.get(f"{url}?slugfrom=/0", headers=HEADER) as answer:
        assert [row["updated_at"][:10] for row in (await answer.json())["results"]] == [
            "2026-01-05",
            "2026-01-03",
        ]
    async with web.client.get(f"{url}?slugfrom=/../x", headers=HEADER) as answer:
        assert (answer.status, await answer.text()) == (400, "Bad URL (from path)")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", f"redirect/{IN_PATH}", 405, "POST, OPTIONS"),
        ("POST", "redirects/go.example", 405, "GET, OPTIONS"),
        ("PUT", "redirect", 405, "GET, POST, OPTIONS"),
        ("DELETE", f"redirects/{IN_PATH}/go.example", 405, "GET, POST, OPTIONS"),
        ("OPTIONS", "anything/at/all", 200, "GET, POST, OPTIONS"),
        ("GET", "other", 404, None),
        ("POST", "", 404, None),
        ("POST", "redirect/a/b/c", 404, None),
        ("GET", "redirects/a/b/c/d", 404, None),
        ("GET", "redirects", 400, None),
    ],
)
async def test_rpi_has_two_actions(
    web: Front, method: str, path: str, status: int, allow: str | None
) -> None:
    async with web.client.request(method, f"{web.url}/tr/v1/rpi/{path}", headers=HEADER) as answer:
        assert (answer.status, answer.headers.get("Allow")) == (status, allow)
        if method == "OPTIONS":
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "Bad request (body)"),
        (b" \n", 400, "Bad request (body)"),
        (b"{", 400, "Bad request (data)"),
        (b"[]", 400, "Bad request (data)"),
        (b'"x"', 400, "Bad request (data)"),
        (b"\xff\xfe{", 400, "Bad request (data)"),
        (b'{"urlfrom": "\\ud800", "urlto": "x"}', 400, "Bad request (data)"),
        (b"[" * 1000, 400, "Bad request (data)"),
        (b"{}", 400, "Bad URL (null)"),
        (b'{"urlfrom": 1, "urlto": {}}', 400, "Bad URL (null)"),
        (b'{"org": "' + b"x" * 70_000 + b'"}', 413, "a link has more than 65536 bytes"),
    ],
    ids=lambda value: value[:20].hex() if isinstance(value, bytes) else str(value),
)
async def test_a_bad_body_is_refused_in_the_originals_words(
    web: Front, body: bytes, status: int, reason: str
) -> None:
    async with web.client.post(f"{web.url}/tr/v1/rpi/redirect", data=body, headers=HEADER) as answer:
        assert (answer.status, await answer.text()) == (status, reason)
    assert web.spooler.entries == []


async def test_a_link_that_cannot_be_stored_is_503_and_not_followed(web: Front) -> None:
    web.spooler.fail()
    assert (await make(web))[0] == 503
    assert (await follow(web, "/sale"))[0] == 404


async def test_without_a_store_links_work_while_they_wait() -> None:
    async with front(SETTINGS, services_of(None)) as web:
        assert (await follow(web, "/x"))[0] == 503


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ("urlfrom", "urlto", "searchto", "oid", "org")


def test_no_field_and_no_path_makes_a_500() -> None:
    """Bodies and paths that nobody thought of: always an answer of ours, never a failure."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(st.sampled_from(FIELDS), ANY), st.text(max_size=20), st.text(max_size=12))
    def ask(body: dict[str, Any], path: str, host: str) -> None:
        loop.run_until_complete(asked(running, body, path, host))

    async def asked(web: Front, body: dict[str, Any], path: str, host: str) -> None:
        named = host.encode("ascii", "ignore").decode()
        kept = "".join(char for char in named if char.isprintable()).strip() or "go.example"
        for sent in (body, {"urlfrom": FROM, "urlto": TO, **body}):
            data = json.dumps(sent, allow_nan=True)
            async with web.client.post(f"{web.url}/tr/v1/rpi/redirect", data=data, headers=HEADER) as answer:
                assert answer.status in (200, 400, 403), await answer.text()
        safe = quote(path, safe="/", errors="replace")
        assert (await follow(web, f"/{safe}", kept))[0] in (200, 302, 400, 404)
        url = f"{web.url}/tr/v1/rpi/redirects/{safe.replace('/', '')}"
        async with web.client.get(url, headers=AS_ADMIN) as answer:
            assert answer.status in (200, 400)

    loop = asyncio.new_event_loop()
    context = front(SETTINGS, services_of(MemoryStore()))
    running = loop.run_until_complete(context.__aenter__())
    try:
        ask()
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()
