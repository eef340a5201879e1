"""Clicks on short links: worked out before or after the answer, they are the same events."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry

from tests.support.links import MemoryStore, services_of
from tests.support.web import LOOPBACK, Front, RecordingSpooler, Source, front
from tracker import clock
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.web import clicks
from tracker.web.server import make_app
from tracker.web.settings import WebSettings

SETTINGS = WebSettings(trusted_proxies=LOOPBACK, metrics_from=LOOPBACK)
VID, SID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a", "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3b"
TRACKED = "https://tr.example/tr/v1/rdr/?url=https://shop.example/&ename=Opened"


@pytest.fixture
async def web() -> AsyncIterator[Front]:
    store = MemoryStore()
    for path in ("/sale", "/uid/x/y"):
        store.put("redirects", urlfrom=f"go.example{path}", urlto="https://shop.example/")
    store.put("redirects", urlfrom="go.example/t", urlto=TRACKED)
    async with front(SETTINGS, services_of(store)) as running:
        yield running


class NoPeer(asyncio.Transport):
    """A connection whose other end is not known."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


async def click(web: Front, path: str = "/sale", **headers: str) -> dict[str, str]:
    """The cookies that a click sets."""
    sent = {"Host": "go.example", "User-Agent": "tests", **headers}
    async with web.client.get(f"{web.url}{path}", headers=sent, allow_redirects=False) as answer:
        assert answer.status == 302
        lines = answer.headers.getall("Set-Cookie", [])
    return dict(re.findall(r"^(\w+)=([^;]*)", "\n".join(lines), re.MULTILINE))


@pytest.mark.parametrize(
    ("cookie", "is_new"),
    [
        ("", True),
        (f"vid={VID}", False),
        (f"vid={VID}; sid={SID}", False),
        (f"sid={SID}", True),
        (f"vid={VID.upper()}", False),
        ("vid=user-123; sid=s", False),
        ("vid=00000000-0000-0000-0000-000000000000", True),
        ("vid=; sid=", True),
    ],
)
@pytest.mark.parametrize("path", ["/sale", "/sale?a=1", "/uid/x/y"])
async def test_the_cookies_say_what_the_row_says(web: Front, path: str, cookie: str, is_new: bool) -> None:
    cookies = await click(web, path, **({"Cookie": cookie} if cookie else {}))
    (event,) = await web.until(1)
    assert (event["vid"], event["sid"]) == (cookies["vid"], cookies["sid"])
    assert event.get("is_new", False) is is_new
    assert (event["etyp"], event["ename"], event["is_client"]) == ("redirect", "short_rdr", True)
    if VID in cookie.lower():
        assert event["vid"] == VID
    if SID in cookie:
        assert event["sid"] == SID


async def test_a_visitor_in_the_query_is_the_visitor(web: Front) -> None:
    cookies = await click(web, f"/sale?vid={VID}")
    (event,) = await web.until(1)
    assert cookies["vid"] == event["vid"] == VID


async def test_a_tracked_click_sets_no_cookie_and_is_its_visitors(web: Front) -> None:
    assert await click(web, "/t", Cookie=f"vid={VID}") == {}
    (event,) = await web.until(1)
    assert (event["vid"], event["ename"], event["etyp"]) == (VID, "opened", "redirect")


async def test_what_is_too_much_or_too_large_for_later_is_worked_out_at_once(
    web: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clicks, "MOST_LATER", 3)
    made = (
        click(web, "/sale", **({"User-Agent": "x" * 4000} if number % 9 == 0 else {})) for number in range(90)
    )
    cookies = await asyncio.gather(*made)
    events = await web.until(90)
    assert {event["vid"] for event in events} == {one["vid"] for one in cookies}
    assert web.count("tracker_events_received_total", route="link") == 90
    assert web.count("tracker_events_accepted_total", route="link") == 90


async def test_a_machine_that_never_rests_stores_clicks_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clicks, "cores", lambda: 0)
    store = MemoryStore()
    store.put("redirects", urlfrom="go.example/sale", urlto="https://shop.example/")
    async with front(SETTINGS, services_of(store)) as web:
        await asyncio.gather(*(click(web) for _ in range(20)))
        assert len(await web.until(20)) == 20


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["in time", "cut off"])
async def test_clicks_that_are_due_are_handed_over_before_the_server_ends(is_cut_off: bool) -> None:
    store, spooler, source = MemoryStore(), RecordingSpooler(), Source()
    store.put("redirects", urlfrom="go.example/sale", urlto="https://shop.example/")
    metrics = Metrics(CollectorRegistry(), "test")
    pipeline = Pipeline(spooler, PipelineSettings(), metrics)
    app = make_app(SETTINGS, pipeline, source, metrics, source, clock.now, services_of(store))
    request = make_mocked_request("GET", "/sale", {"Host": "go.example"}, transport=NoPeer())
    for _ in range(100):
        answer = await app.find("/sale").answer(request)
        assert answer.status == 302
    if is_cut_off:
        closing = asyncio.create_task(app.close())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await closing
    await app.close()
    await pipeline.close()
    lost = metrics.registry.get_sample_value("tracker_events_unpromised_total", {"route": "link"})
    assert len(spooler.events) + (lost or 0) == 100
    assert (len(spooler.events) == 100) is not is_cut_off


async def test_a_click_that_cannot_be_stored_is_counted_and_followed_all_the_same(web: Front) -> None:
    web.spooler.fail()
    assert "vid" in await click(web)
    async with asyncio.timeout(5):
        while not web.count("tracker_events_unpromised_total", route="link"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
