"""Health routes, methods, preflight, cookies, redirects and static files, over real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.web import LOOPBACK, Front, front
from tracker.web.settings import WebSettings

VID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"
EXAMPLE = WebSettings(
    allow_origin="https://app.example.com, https://b.example",
    trusted_proxies=LOOPBACK,
    redirect_hosts=("go.example", "*.ok.example"),
    domains=("shop.example",),
)


@pytest.fixture
async def web() -> AsyncIterator[Front]:
    async with front() as running:
        yield running


@pytest.fixture
async def example() -> AsyncIterator[Front]:
    async with front(EXAMPLE) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/ping", 200, "pong"),
        ("/livez", 200, "ok"),
        ("/healthz", 200, "ok"),
        ("/clear", 200, "OK"),
        ("/nothing/here", 404, "no such route"),
        ("/", 404, "no such route"),
        ("/tr/v2/tr/", 404, "no such route"),
        ("/tr/v1/trx", 404, "no such route"),
        ("/tr/v1/pub/x", 404, "no such route"),
    ],
)
async def test_plain_routes_answer_in_words(web: Front, path: str, status: int, body: str) -> None:
    for form in (path, f"{path.rstrip('/')}/"):
        async with web.client.get(web.url + form) as answer:
            assert (answer.status, await answer.text()) == (status, body)
    assert web.events == []


async def test_clear_asks_the_browser_to_forget(web: Front) -> None:
    async with web.client.get(f"{web.url}/clear") as answer:
        assert answer.headers["Clear-Site-Data"] == '"*"'


async def test_readiness_is_503_with_the_reason_while_nothing_can_be_accepted(web: Front) -> None:
    async with web.client.get(f"{web.url}/readyz") as answer:
        assert answer.status == 200
    web.source.is_ready = False
    async with web.client.get(f"{web.url}/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["draining"]


async def test_health_routes_answer_json_and_head(web: Front) -> None:
    for path, key in (("health", "status"), ("sink-health", "duckdb")):
        async with web.client.get(f"{web.url}/{path}") as answer:
            assert key in await answer.json()
        async with web.client.head(f"{web.url}/{path}") as answer:
            assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", None, "application/json"),
        ("", "*/*", "application/json"),
        ("", "application/json, text/plain", "application/json"),
        ("", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain"),
        ("", "application/openmetrics-text;version=1.0.0", "text/plain"),
        ("?format=json", "text/plain", "application/json"),
        ("?format=prometheus", "*/*", "text/plain"),
    ],
)
async def test_metrics_come_in_the_form_that_is_asked_for(
    web: Front, query: str, accept: str | None, kind: str
) -> None:
    headers = {"Accept": accept} if accept else {}
    skip = () if accept else ("Accept",)
    async with web.client.get(f"{web.url}/metrics{query}", headers=headers, skip_auto_headers=skip) as answer:
        assert (answer.status, answer.content_type) == (200, kind)


async def test_metrics_are_refused_to_strangers_and_unknown_formats(web: Front) -> None:
    async with web.client.get(f"{web.url}/metrics", headers={"X-Forwarded-For": "8.8.8.8"}) as answer:
        assert answer.status == 403
    async with web.client.get(f"{web.url}/metrics?format=xml") as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/tr/v1/tr/", "GET, POST, OPTIONS"),
        ("DELETE", "/tr/v1/str/", "GET, POST, OPTIONS"),
        ("HEAD", "/tr/v1/tr/", "GET, POST, OPTIONS"),
        ("PATCH", "/tr/v1/img/", "GET, POST, HEAD, OPTIONS"),
        ("POST", "/ping", "GET, HEAD, OPTIONS"),
        ("POST", "/tr/v1/ws", "GET, OPTIONS"),
    ],
)
async def test_other_methods_are_405_and_name_those_allowed(
    web: Front, method: str, path: str, allow: str
) -> None:
    async with web.client.request(method, web.url + path) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, allow)
    assert web.events == []


async def test_preflight_allows_what_trackers_send(web: Front) -> None:
    headers = {"Origin": "https://x.example", "Access-Control-Request-Headers": "content-type"}
    async with web.client.options(f"{web.url}/tr/v1/tr/", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(",")
        ours = {"content-type", "content-encoding", "authorization", "accept", "user", "idempotency-key"}
        assert ours == set(allowed)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Access-Control-Max-Age"] == "1728000"
    assert web.events == []


async def test_credentials_are_allowed_to_a_named_origin_only(example: Front) -> None:
    for origin, allowed in (
        ("https://b.example", "https://b.example"),
        ("https://evil.example", None),
        (None, None),
    ):
        headers = {"Origin": origin} if origin else {}
        async with example.client.post(f"{example.url}/tr/v1/tr/", json={}, headers=headers) as answer:
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert ("Access-Control-Allow-Credentials" in answer.headers) == bool(allowed)
            assert answer.headers["Vary"] == "Origin"


async def test_cookies_say_who_the_row_is_about(example: Front) -> None:
    headers = {"Host": "www.shop.co.uk:8443", "X-Forwarded-Proto": "https"}
    async with example.client.get(f"{example.url}/tr/v1/tr/", headers=headers) as answer:
        vid, sid = answer.headers.getall("Set-Cookie")
    [event] = example.events
    end = "SameSite=Lax; Domain=shop.co.uk; Secure"
    assert vid == f"vid={event['vid']}; Path=/; Max-Age=34560000; {end}"
    assert sid == f"sid={event['sid']}; Path=/; Max-Age=1800; {end}"


async def test_a_cookie_brings_the_visitor_back_and_the_session_slides(web: Front) -> None:
    cookie = f"vid={VID}; sid=session-1; CookieConsent=1024; jwt=secret; ref=friend; xid=exp"
    async with web.client.post(f"{web.url}/tr/v1/tr/", json={}, headers={"Cookie": cookie}) as answer:
        vid, sid = answer.headers.getall("Set-Cookie")
    [event] = web.events
    assert vid.startswith(f"vid={VID};")
    assert sid.startswith(f"sid={event['sid']}; Path=/; Max-Age=1800;")
    assert (event["cflags"], event["xid"]) == (1024, "exp")
    assert "is_new" not in event
    assert "secret" not in str(event)


@pytest.mark.parametrize("host", ["localhost:8880", "127.0.0.1:1", "[::1]:80", "co.uk", "intranet"])
async def test_hosts_without_a_registrable_domain_get_host_only_cookies(web: Front, host: str) -> None:
    async with web.client.get(f"{web.url}/tr/v1/img/", headers={"Host": host}) as answer:
        assert all("Domain" not in line for line in answer.headers.getall("Set-Cookie"))
        assert all("Secure" not in line for line in answer.headers.getall("Set-Cookie"))


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("https://go.example/a?b=c%20d", "https://go.example/a?b=c%20d"),
        ("HTTP://GO.example:8080/", "HTTP://GO.example:8080/"),
        ("https://x.ok.example/", "https://x.ok.example/"),
        ("https://shop.example/caf%C3%A9", "https://shop.example/caf%C3%A9"),
        ("https://other.site.co.uk/", "https://other.site.co.uk/"),
    ],
)
async def test_a_redirect_leads_to_allowed_hosts(example: Front, target: str, location: str) -> None:
    query = {"url": target, "ename": "out"}
    headers = {"Host": "www.site.co.uk"}
    for route in ("rdr", "xrdr"):
        url = f"{example.url}/tr/v1/{route}/"
        async with example.client.get(url, params=query, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, location)
            assert answer.headers["Cache-Control"] == "no-store"
            assert ("Set-Cookie" in answer.headers) == (route == "xrdr")
    events = await example.until(2)
    assert [event.get("is_client", False) for event in events] == [False, True]
    assert example.count("tracker_redirects_total", outcome="allowed") == 2


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "https://ok.example/",
        "https://go.example.evil.example/",
        "https://go.example@evil.example/",
        "https://evil.example\\@go.example/",
        "//go.example/",
        "javascript:alert(1)//go.example",
        "ftp://go.example/",
        "https://go.example\r\nSet-Cookie: a=b",
        "https:/go.example/",
        "",
    ],
)
async def test_any_other_target_is_refused(example: Front, target: str) -> None:
    url = f"{example.url}/tr/v1/rdr/"
    async with example.client.get(url, params={"url": target}, allow_redirects=False) as answer:
        assert answer.status == 400
        assert "Location" not in answer.headers
    assert example.count("tracker_redirects_total", outcome="refused") == 1


async def test_a_refused_target_leads_to_the_default(web: Front) -> None:
    for query in ("", "?url=https://evil.example/"):
        async with web.client.get(f"{web.url}/tr/v1/xrdr/{query}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "https://home.example/")
    assert web.count("tracker_redirects_total", outcome="default") == 2
    assert len(await web.until(2)) == 2


async def test_forwarded_headers_count_only_from_trusted_proxies() -> None:
    headers = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Host": "Shop.Example:443", "Host": "Inner:1"}
    async with front(WebSettings(trusted_proxies=LOOPBACK)) as trusting, front(WebSettings()) as wary:
        for web in (trusting, wary):
            async with web.client.get(f"{web.url}/tr/v1/tr/", headers=headers) as answer:
                assert answer.status == 200
        [there], [here] = trusting.events, wary.events
    assert there["iphash"] == "b4c84prdbt401t5oxss1cy8xcx"
    assert here["iphash"] == "2eauxqsti0h26dc3qe1mfglks"
    assert there["hhash"] != here["hhash"]


async def test_static_files_are_sent_and_tracked_but_never_listed(tmp_path: Path) -> None:
    folder = tmp_path / "public"
    (folder / "js").mkdir(parents=True)
    (folder / "js" / "track.js").write_text("let x")
    (folder / ".secret").write_text("no")
    (tmp_path / "outside").write_text("no")
    (folder / "link").symlink_to(tmp_path / "outside")
    async with front(WebSettings(static_folder=folder)) as web:
        async with web.client.get(f"{web.url}/tr/v1/pub/js/track.js") as answer:
            assert (answer.status, await answer.text()) == (200, "let x")
            assert len(answer.headers.getall("Set-Cookie")) == 2
        assert (await web.until(1))[0]["is_client"] is True
        async with web.client.head(f"{web.url}/tr/v1/pub/js/track.js") as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "5")
        for path in (
            "",
            "js",
            "js/",
            ".secret",
            "link",
            "../outside",
            "%2e%2e/outside",
            "x%00",
            "//etc/passwd",
        ):
            raw = f"GET /tr/v1/pub/{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            assert (await web.raw(raw.encode())).startswith(b"HTTP/1.1 404 ")
        assert len(web.events) == 1


async def test_an_api_version_moves_the_routes() -> None:
    async with front(WebSettings(api_version=3)) as web:
        async with web.client.get(f"{web.url}/tr/v3/tr/vid/{VID}") as answer:
            assert answer.status == 200
        assert web.events[0]["vid"] == VID
