"""HTTP that no decent client sends: a 4xx with a reason, never a 500, never a log full of addresses."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from tests.support.web import LOOPBACK, Front, front
from tracker.web.settings import WebLimits, WebSettings

VID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"


@pytest.fixture
async def web() -> AsyncIterator[Front]:
    async with front() as running:
        yield running


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /tr/v1/tr/ HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"X /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /tr/v1/tr/\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /tr/v1/tr/ename/\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        b"GET /tr/v1/tr/ HTTP/1.1\r\nHost h\r\n\r\n",
        b"GET /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /tr/v1/tr/?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    ],
)
async def test_malformed_http_is_refused_without_noise(
    web: Front, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await web.raw(request_bytes)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert answer.partition(b"\r\n\r\n")[2]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert web.events == []


async def test_http_1_0_without_a_host_is_accepted(web: Front) -> None:
    answer = await web.raw(b"GET /tr/v1/tr/ename/old HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close\r\n" in answer
    assert "hhash" not in web.events[0] or web.events[0]["ename"] == "old"


async def test_header_bytes_that_are_no_utf8_are_replaced(web: Front) -> None:
    request = (
        b"GET /tr/v1/tr/ename/x HTTP/1.1\r\nHost: h\xff\r\nUser-Agent: a\xffb\r\n"
        b"Cookie: xid=\xff; vid\r\nConnection: close\r\n\r\n"
    )
    assert (await web.raw(request)).startswith(b"HTTP/1.1 200 ")
    [event] = web.events
    assert (event["browser"], event["xid"]) == ("a\ufffdb", "\ufffd")


async def test_a_malformed_chunk_behind_a_good_one_is_400(web: Front) -> None:
    request = (
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"1\r\n{\r\nqq\r\n"
    )
    assert (await web.raw(request)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert web.count("tracker_events_accepted_total", route="tr") == 0


async def test_pipelined_requests_are_answered_in_order(web: Front) -> None:
    one = b"POST /tr/v1/str/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
    last = b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = await web.raw(one * 3 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.endswith(b"pong")
    assert len(web.events) == 3


async def test_a_body_that_does_not_come_is_408() -> None:
    limits = WebLimits(body_seconds=0.05)
    async with front(WebSettings(limits=limits, trusted_proxies=LOOPBACK)) as web:
        head = b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"
        assert (await web.raw(head)).startswith(b"HTTP/1.1 408 ")


async def test_a_bug_is_500_in_few_words_and_logged_once(
    web: Front, caplog: pytest.LogCaptureFixture
) -> None:
    web.spooler.trouble = ZeroDivisionError("a bug")
    async with web.client.post(f"{web.url}/tr/v1/tr/", json={}) as answer:
        assert (answer.status, await answer.text()) == (500, "internal error")
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "request failed"
    assert record.exc_info


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(web: Front) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.serving.port)
    writer.write(
        b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


async def test_headers_that_change_with_each_request_change_the_event(web: Front) -> None:
    for number in range(3):
        headers = {"User-Agent": f"Agent {number}", "X-Request-Id": str(number)}
        for _ in range(2):
            async with web.client.post(f"{web.url}/tr/v1/tr/", data=b"{}", headers=headers) as answer:
                assert answer.status == 200
    assert [event["browser"] for event in web.events] == [f"agent {number // 2}" for number in range(6)]


async def test_a_connection_may_be_used_by_many_visitors(web: Front) -> None:
    for cookie in (VID, VID.replace("c", "d"), VID):
        headers = {"Cookie": f"vid={cookie}"}
        async with web.client.post(f"{web.url}/tr/v1/tr/", data=b"{}", headers=headers) as answer:
            assert answer.cookies["vid"].value == cookie
    assert [event["vid"] for event in web.events] == [VID, VID.replace("c", "d"), VID]
