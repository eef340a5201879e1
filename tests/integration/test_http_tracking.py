"""What the tracking routes answer and store, over real sockets."""

import asyncio
import gzip
import json
import time
import uuid
import zlib
from collections.abc import AsyncIterator

import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard

from tests.support.web import LOOPBACK, Front, front
from tracker.web.answers import PIXEL
from tracker.web.settings import WebLimits, WebSettings

VID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"
SMALL = WebLimits(
    max_body_bytes=2000, max_inflated_bytes=4000, max_events=3, max_depth=5, maximum_connections=1
)


@pytest.fixture
async def web() -> AsyncIterator[Front]:
    async with front() as running:
        yield running


@pytest.fixture
async def small() -> AsyncIterator[Front]:
    async with front(WebSettings(limits=SMALL, trusted_proxies=LOOPBACK)) as running:
        yield running


async def test_a_posted_event_is_stored_before_its_empty_answer(web: Front) -> None:
    async with web.client.post(f"{web.url}/tr/v1/tr/", json={"vid": VID, "ename": "View", "X": 1}) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    [event] = web.events
    assert event["vid"] == VID
    assert event["ename"] == "view"
    assert event["params"] == {"X": 1}
    assert event["is_client"] is True


async def test_the_readmes_event_by_path_pairs_is_stored(web: Front) -> None:
    async with web.client.get(f"{web.url}/tr/v1/tr/vid/{VID}/ename/page_view/etyp/view") as answer:
        assert answer.status == 200
    [event] = web.events
    assert (event["vid"], event["ename"], event["etyp"]) == (VID, "page_view", "view")
    assert "v1" not in event.get("params", {})


@pytest.mark.parametrize("path", ["/tr/v1/tr", "/tr/v1/tr/", "/tr/v1/tr/ename/x%0Ay", "/tr/v1/tr/%ff%zz/%"])
async def test_every_form_of_the_path_tracks(web: Front, path: str) -> None:
    answer = await web.raw(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(web.events) == 1


async def test_a_query_is_the_event_of_a_get(web: Front) -> None:
    url = f"{web.url}/tr/v1/tr/?utm_source=News&ename=Click&Own=Case%20Kept&Own=second"
    async with web.client.get(url) as answer:
        assert answer.status == 200
    [event] = web.events
    assert (event["source"], event["ename"], event["params"]) == ("news", "click", {"Own": "Case Kept"})


async def test_a_server_event_answers_its_id_and_sets_no_cookie(web: Front) -> None:
    headers = {"User-Agent": "curl", "Cookie": f"vid={VID}"}
    async with web.client.post(f"{web.url}/tr/v1/str/", json={"ename": "paid"}, headers=headers) as answer:
        eid = await answer.json()
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    [event] = web.events
    assert (event["eid"], event["vid"]) == (eid, VID)
    assert not {"is_client", "browser", "culture"} & event.keys()


async def test_the_pixel_is_the_exact_gif_and_never_cached(web: Front) -> None:
    async with web.client.get(f"{web.url}/tr/v1/img/?ename=open") as answer:
        assert await answer.read() == PIXEL
        assert len(PIXEL) == 35
        assert answer.headers["Content-Type"] == "image/gif"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["Timing-Allow-Origin"] == "*"
        assert len(answer.headers.getall("Set-Cookie")) == 2
    assert [event["ename"] for event in web.events] == ["open"]


async def test_head_of_the_pixel_tracks_nothing(web: Front) -> None:
    async with web.client.head(f"{web.url}/tr/v1/img/") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "35")
    assert web.events == []


async def test_a_pixel_waits_a_moment_at_most_and_its_event_follows(web: Front) -> None:
    web.spooler.open.clear()
    started = time.monotonic()
    async with web.client.get(f"{web.url}/tr/v1/img/?ename=late") as answer:
        assert await answer.read() == PIXEL
    assert time.monotonic() - started < 2
    web.spooler.open.set()
    assert (await web.until(1))[0]["ename"] == "late"


async def test_what_cannot_be_stored_is_503_for_tr_and_str_only(web: Front) -> None:
    web.spooler.fail()
    for route in ("tr", "str"):
        async with web.client.post(f"{web.url}/tr/v1/{route}/", json={}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with web.client.get(f"{web.url}/tr/v1/img/") as answer:
        assert answer.status == 200
    url = f"{web.url}/tr/v1/xrdr/?url=http://127.0.0.1/x"
    async with web.client.get(url, allow_redirects=False) as answer:
        assert answer.status == 302
    assert web.count("tracker_events_unpromised_total", route="img") == 1
    assert web.count("tracker_events_unpromised_total", route="xrdr") == 1


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("zstd", zstandard.compress),
        ("lz4", lz4.frame.compress),
        ("GZIP, identity", gzip.compress),
    ],
)
async def test_every_encoding_is_understood(web: Front, encoding: str, pack: object) -> None:
    assert callable(pack)
    body = pack(b'{"ename": "packed"}')
    headers = {"Content-Encoding": encoding}
    async with web.client.post(f"{web.url}/tr/v1/tr/", data=body, headers=headers) as answer:
        assert answer.status == 200
    assert [event["ename"] for event in web.events] == ["packed"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[1]", {}, 400),
        (b"5", {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b'{"a": "\xff"}', {}, 400),
        (b'{"a": "\\ud800"}', {}, 400),
        (b'{"a":' * 6 + b"1" + b"}" * 6, {}, 400),
        (b"[" * 500, {}, 400),
        (b"\x1f\x8bgarbage", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400),
        (zstandard.compress(b"{}")[:-1], {"Content-Encoding": "zstd"}, 400),
        (b"x", {"Content-Encoding": "br"}, 415),
        (b" " * 2001, {}, 413),
        (gzip.compress(b" " * 1_000_000, mtime=0), {"Content-Encoding": "gzip"}, 413),
        (b"[{},{},{},{}]", {}, 413),
        (b"{}\n{}\n{}\n{}", {}, 413),
    ],
)
async def test_bad_bodies_are_refused_with_a_reason(
    small: Front, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with small.client.post(f"{small.url}/tr/v1/tr/", data=body, headers=headers) as answer:
        assert answer.status == status
        assert await answer.text()
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert small.events == []
    async with small.client.post(f"{small.url}/tr/v1/tr/", json={}) as answer:
        assert answer.status == 200


async def test_a_body_that_grows_over_the_limit_is_cut_off(small: Front) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    async with small.client.post(f"{small.url}/tr/v1/tr/", data=endless()) as answer:
        assert answer.status == 413


@pytest.mark.parametrize(
    "body",
    [
        b'[{"ename":"a"}, 5, {"ename":"b"}]',
        b'{"events": [{"ename":"a"}, 5, {"ename":"b"}]}',
        b'\n{"ename":"a"}\n\n   \n{"ename":\n{"ename":"b"}\r\n',
    ],
)
async def test_a_bad_event_costs_its_neighbours_nothing(web: Front, body: bytes) -> None:
    async with web.client.post(f"{web.url}/tr/v1/tr/", data=body) as answer:
        result = await answer.json()
        assert answer.status == 200
    assert result["accepted"] == 2
    assert [(entry["index"], bool(entry["reason"])) for entry in result["rejected"]] == [(1, True)]
    assert [event["ename"] for event in web.events] == ["a", "b"]
    assert web.count("tracker_events_received_total", route="tr") == 3
    assert web.count("tracker_events_accepted_total", route="tr") == 2


async def test_only_a_batch_without_any_good_event_is_400(web: Front) -> None:
    for body, status in ((b"[1,2]", 400), (b"[]", 200), (b'{"events":[]}', 200)):
        async with web.client.post(f"{web.url}/tr/v1/str/", data=body) as answer:
            assert answer.status == status
            assert (await answer.json())["accepted"] == 0


async def test_events_beside_other_keys_is_one_event(web: Front) -> None:
    async with web.client.post(f"{web.url}/tr/v1/tr/", json={"events": [1], "ename": "x"}) as answer:
        assert await answer.read() == b""
    assert web.events[0]["params"] == {"events": [1]}


async def test_a_pretty_printed_object_is_one_event(web: Front) -> None:
    async with web.client.post(f"{web.url}/tr/v1/tr/", data=json.dumps({"a": {"b": 1}}, indent=2)) as answer:
        assert await answer.read() == b""
    assert web.events[0]["params"] == {"a": {"b": 1}}


async def test_an_empty_body_is_an_event_without_values(web: Front) -> None:
    for body in (b"", b" \n "):
        async with web.client.post(f"{web.url}/tr/v1/tr/", data=body) as answer:
            assert answer.status == 200
    assert len(web.events) == 2


async def test_a_browsers_batch_without_ids_is_one_visitor_in_one_session(web: Front) -> None:
    events = [{"ename": "a"}, {"ename": "b"}, {"ename": "c", "vid": "user-123"}]
    async with web.client.post(f"{web.url}/tr/v1/tr/", json=events) as answer:
        cookie = answer.cookies["vid"].value
    a, b, c = web.events
    assert a["vid"] == b["vid"] == cookie != c["vid"]
    assert a["sid"] == b["sid"]
    assert a["is_new"] is True
    assert "is_new" not in b


async def test_a_servers_batch_keeps_visitors_apart(web: Front) -> None:
    async with web.client.post(f"{web.url}/tr/v1/str/", json=[{}, {}]) as answer:
        assert answer.status == 200
    assert web.events[0]["vid"] != web.events[1]["vid"]


async def test_a_large_batch_lets_others_in_between(web: Front) -> None:
    batch = asyncio.create_task(_post(web, [{"n": n} for n in range(5000)]))
    await asyncio.sleep(0)
    async with web.client.get(f"{web.url}/ping") as answer:
        assert answer.status == 200
    assert (await batch)["accepted"] == 5000


async def _post(web: Front, events: object) -> dict[str, int]:
    async with web.client.post(f"{web.url}/tr/v1/tr/", json=events) as answer:
        result: dict[str, int] = await answer.json()
        return result


async def test_over_maximum_connections_is_503_and_the_room_is_given_back(small: Front) -> None:
    small.spooler.open.clear()
    held = asyncio.create_task(_status(small))
    while not small.count("tracker_connections"):  # noqa: ASYNC110  # no signal to wait for
        await asyncio.sleep(0.005)
    async with small.client.get(f"{small.url}/tr/v1/tr/") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert await answer.text() == "Maximum clients reached on this node.\n"
    async with small.client.get(f"{small.url}/status") as answer:
        assert await answer.json() == [{"Key": "client", "Value": "127.0.0.1"}, {"Key": "conns", "Value": 1}]
    small.spooler.open.set()
    assert await held == 200
    small.spooler.trouble = ValueError("a bug")
    assert await _status(small) == 500
    small.spooler.trouble = None
    assert await _status(small) == 200
    assert small.count("tracker_connections") == 0


async def _status(web: Front) -> int:
    async with web.client.post(f"{web.url}/tr/v1/tr/", json={}) as answer:
        await answer.read()
        return answer.status


async def test_ids_that_are_no_uuids_get_a_uuid_in_row_and_cookie(web: Front) -> None:
    async with web.client.post(f"{web.url}/tr/v1/tr/", json={"vid": "user-123"}) as answer:
        vid = answer.cookies["vid"].value
    assert uuid.UUID(vid).version == 5
    assert web.events[0]["vid"] == vid
    assert web.events[0]["params"] == {"vid": "user-123"}


async def test_requests_are_counted_by_route_and_status(web: Front) -> None:
    await _status(web)
    async with web.client.post(f"{web.url}/tr/v1/tr/", data=b"{") as answer:
        assert answer.status == 400
    assert web.count("tracker_requests_total", route="tr", status="200") == 1
    assert web.count("tracker_requests_total", route="tr", status="400") == 1
    assert web.count("tracker_request_seconds_count", route="tr") == 2
    assert web.count("tracker_events_rejected_total", route="tr", reason="malformed") == 1
