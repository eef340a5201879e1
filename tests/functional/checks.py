"""Each of the README's calls, and that it does what is said there. A check raises Failed."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

from aiohttp import ClientError, ClientSession

from tests.functional.site import Failed, Site, expect, stored_id

BATCHING = (
    *("enabled", "total_batches", "total_items", "failed_batches", "avg_batch_size", "queued_items"),
    *("avg_flush_latency_ms", "memory_usage_mb", "batch_success_rate", "events_per_second"),
)
"""What `curl …/metrics | jq .batching` shows."""
CONSENT = 1024
MANY = 100
LONG_LINK = "https://example.com/long/path?utm_source=test"


def health(site: Site) -> None:
    """The server says how it is."""
    expect(site.get("/ping").text == "pong", "/ping: no pong")
    expect("status" in site.get("/health").json, "/health: no status")
    keys = {entry["Key"] for entry in site.get("/status").json}
    expect({"client", "conns"} <= keys, f"/status: {sorted(keys)}")
    batching = site.get("/metrics").json.get("batching", {})
    missing = [name for name in BATCHING if name not in batching]
    expect(not missing, f"/metrics: .batching lacks {', '.join(missing)}")
    told = site.get("/metrics?format=prometheus").text
    expect("tracker_build_info" in told, "/metrics?format=prometheus: no tracker_build_info")


def events(site: Site) -> None:
    """Events by URL, by POST, by a server and over a WebSocket become rows."""
    by_url, by_post, by_server, stream = (site.named(name) for name in ("url", "post", "server", "user-123"))
    site.get(f"/tr/v1/tr/vid/{by_url}/ename/page_view/etyp/view")
    page = {"sid": "session-123", "ename": "page_view", "etyp": "view", "url": "https://example.com/page"}
    where = {"tz": "America/Los_Angeles", "device": "Desktop", "os": "macOS"}
    site.post("/tr/v1/tr/", {"vid": by_post, **page, **where})
    sale = {"oid": "org-id", "ename": "server_event", "etyp": "conversion", "revenue": "99.99"}
    told = site.post("/tr/v1/str/", {"vid": by_server, **sale}).json
    UUID(told)
    send_by_websocket(site, {"vid": stream, "ename": "websocket_event", "etyp": "stream"})
    wanted = {by_url: "view", by_post: "view", by_server: "conversion", stream: "stream"}
    for vid, etyp in wanted.items():
        (row,) = site.wait_for(1, "events", vid=vid)
        expect(row["etyp"] == etyp, f"events: etyp {row['etyp']} of {vid}, expected {etyp}")
    (row,) = site.rows("events", vid=by_post)
    expect(
        (row["device"], row["country"]) == ("desktop", "US"), "events: device or country of the zone is wrong"
    )
    (row,) = site.rows("events", vid=by_server)
    expect(row["eid"] == told, "/str/ told another id than the row has")


def ltv(site: Site) -> None:
    """Payments, also in their least form, count for the visitor, the user and the order."""
    ids = {"vid": site.named("user-id"), "uid": site.named("user-123"), "oid": site.named("org-id")}
    order = site.named("order-123")
    body = {**ids, "amt": 99.99, "currency": "USD", "orid": order}
    site.post("/tr/v1/ltv/", body)
    site.post("/tr/v1/ltv/", body)  # sent again: the same payment
    site.post("/tr/v1/ltv/", {**ids, "amt": 149.99})
    site.wait_for(2, "payments", oid=ids["oid"])
    expect_paid(
        site,
        ids["oid"],
        {("uid", ids["uid"]): "249.98", ("vid", ids["vid"]): "249.98", ("orid", order): "99.99"},
    )


def ltv_batch(site: Site) -> None:
    """Several payments of one call are one row each."""
    ids = {"vid": site.named("user-id"), "uid": site.named("user-456"), "oid": site.named("org-batch")}
    orders = [site.named("order-124"), site.named("order-125")]
    items = [
        {"amt": amount, "currency": "USD", "orid": order}
        for amount, order in zip((50.00, 25.00), orders, strict=True)
    ]
    site.post("/tr/v1/ltv/", {**ids, "payments": items})
    site.wait_for(2, "payments", oid=ids["oid"])
    expect_paid(
        site, ids["oid"], {("uid", ids["uid"]): "75", ("orid", orders[0]): "50", ("orid", orders[1]): "25"}
    )


def expect_paid(site: Site, oid: str, wanted: Mapping[tuple[str, str], str]) -> None:
    """The view `ltv` has these sums, in USD, for these ids of an organisation."""
    rows = site.rows("ltv", oid=oid)
    paid = {(row["id_type"], row["id"]): Decimal(row["paid"]) for row in rows if row["currency"] == "USD"}
    for (kind, name), amount in wanted.items():
        found = paid.get((kind, stored_id(name)))
        expect(found == Decimal(amount), f"ltv: {kind} {name} paid {found}, expected {amount}")


def redirects(site: Site) -> None:
    """A short link is made, listed, and leads where it should."""
    host, slug = "yourdomain.com", f"/short-{site.run}"
    link = {"urlfrom": f"https://{host}{slug}", "slugfrom": slug, "urlto": LONG_LINK, "oid": "org-id"}
    with site.account(host) as login:
        site.post(f"/tr/v1/rpi/redirect/{login.uid}/{login.password}", link)
        led = site.get(slug, host=host, status=302)
        expect(led.headers.get("Location") == LONG_LINK, f"{slug}: leads to {led.headers.get('Location')}")
        site.wait_for(1, "redirects", urlfrom=f"{host}{slug}")
        listed = site.get(f"/tr/v1/rpi/redirects/{login.uid}/{login.password}/{host}").json["results"]
        expect(any(row["slugfrom"] == slug for row in listed), "redirects: the link is not listed")
        wrong = site.get(f"/tr/v1/rpi/redirects/{login.uid}/not-it/{host}", status=400)
        expect(wrong.text == "Bad pass", f"redirects: a wrong password is told {wrong.text}")
    site.wait_for(1, "events", url=slug, ename="short_rdr", etyp="redirect")


def privacy(site: Site) -> None:
    """Consent is kept and told; callers are told where they are, not where others are."""
    vid = site.named("user-id")
    where = {"tz": "America/Los_Angeles", "lat": 37.7749, "lon": -122.4194}
    site.post("/tr/v1/ppi/agree", {"vid": vid, "cflags": CONSENT, **where})
    told = site.get(f"/tr/v1/ppi/agree?vid={vid}").json
    expect([row["cflags"] for row in told] == [CONSENT], f"agree: {told}")
    expect(told[0]["country"] == "US", f"agree: country {told[0]['country']} of {where['tz']}")
    expect(not {"ip", "iphash", "browser"} & set(told[0]), "agree: tells address or browser")
    for table in ("agreements", "agreed"):
        (row,) = site.wait_for(1, table, vid=vid)
        expect(row["cflags"] == CONSENT, f"{table}: cflags {row['cflags']}")
    expect(site.get("/tr/v1/ppi/agree", status=404).json == [], "agree: without vid not []")
    expect(has_place(site), "geoip: neither a place nor a reason")


def has_place(site: Site) -> bool:
    """The caller's own place is told, or why it is not; another's only to an account."""
    try:
        own = "iso2" in site.get("/tr/v1/ppi/geoip").json
    except Failed:
        told = site.get("/tr/v1/ppi/geoip", status=400).text
        own = told in ("Not Found (IP)", "Service Unavailable")
    site.get("/tr/v1/ppi/geoip?ip=8.8.8.8", status=401)
    return own


def jurisdictions(site: Site) -> None:
    """The laws are listed, and are rows too."""
    listed = site.get("/tr/v1/ppi/jds").json
    names = {row["regulation"].upper() for row in listed}
    expect(any("GDPR" in name for name in names), f"jds: no GDPR among {sorted(names)}")
    expect(all(row["rules"] and row["locs"] for row in listed), "jds: one without rules or places")
    site.wait_for(len(listed), "jurisdictions", "regulation, compliance, seq")


def batch(site: Site) -> None:
    """A hundred events are a hundred rows."""
    vid = site.named("batch")

    def send(number: int) -> None:
        site.post("/tr/v1/tr/", {"vid": vid, "ename": f"batch_{number}", "etyp": "test"})

    with ThreadPoolExecutor(10) as senders:
        list(senders.map(send, range(MANY)))
    rows = site.wait_for(MANY, "events", "ename", vid=vid)
    expect(len({row["ename"] for row in rows}) == MANY, "events: some are there twice, others not at all")


def e2e(site: Site) -> None:
    """The README's end-to-end example: a page view, a signup, a purchase, a consent of one visitor."""
    vid, uid, oid = (str(uuid4()) for _ in range(3))
    site.post("/tr/v1/tr/", {"vid": vid, "ename": "page_view", "etyp": "view"})
    site.post("/tr/v1/str/", {"vid": vid, "uid": uid, "oid": oid, "ename": "signup", "etyp": "conversion"})
    site.post("/tr/v1/ltv/", {"vid": vid, "uid": uid, "oid": oid, "amt": 149.99})
    site.post("/tr/v1/ppi/agree", {"vid": vid, "cflags": CONSENT})
    rows = site.wait_for(2, "events", "ename", vid=vid)
    expect({row["ename"] for row in rows} == {"page_view", "signup"}, f"events: {rows}")
    site.wait_for(1, "payments", vid=vid)
    site.wait_for(1, "agreements", vid=vid)
    expect_paid(site, oid, {("uid", uid): "149.99"})


def send_by_websocket(site: Site, message: dict[str, Any]) -> None:
    """One message over a socket of its own."""

    async def send() -> None:
        async with ClientSession() as session, session.ws_connect(f"{site.url}/tr/v1/ws") as socket:
            await socket.send_json(message)

    try:
        asyncio.run(send())
    except ClientError as problem:
        raise Failed(f"/tr/v1/ws: {problem}") from problem


CHECKS: Mapping[str, Callable[[Site], None]] = MappingProxyType(
    {
        "health": health,
        "events": events,
        "ltv": ltv,
        "ltv-batch": ltv_batch,
        "redirects": redirects,
        "privacy": privacy,
        "jurisdictions": jurisdictions,
        "batch": batch,
        "e2e": e2e,
    }
)
"""Every check by its name, in the order of `all`."""
