"""The event stream over real WebSockets."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import lz4.block  # type: ignore[import-untyped]  # it ships no types
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from tests.support.web import LOOPBACK, Front, front
from tracker.web.settings import WebLimits, WebSettings

VID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"


@pytest.fixture
async def web() -> AsyncIterator[Front]:
    async with front() as running:
        yield running


def packed(value: Any) -> bytes:
    return bytes(lz4.block.compress(json.dumps(value).encode()))


async def ack(socket: ClientWebSocketResponse) -> dict[str, Any]:
    answer: dict[str, Any] = await socket.receive_json(timeout=5)
    return answer


async def test_a_socket_stores_every_form_of_frame_silently(web: Front) -> None:
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws") as socket:
        await socket.send_str('{"ename": "One", "vid": "user-123", "params": {"Deep": [1]}}')
        await socket.send_str('[{"ename": "two"}, {"ename": "three"}]')
        await socket.send_str('{"ename": "four"}\n{"ename": "five"}\n')
        await socket.send_bytes(packed({"ename": "six", "Extra": 1}))
        events = await web.until(6)
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.05)
    assert [event["ename"] for event in events] == ["one", "two", "three", "four", "five", "six"]
    assert events[0]["params"] == {"Deep": [1], "vid": "user-123"}
    assert events[5]["params"] == {"Extra": 1}
    assert all(event["is_client"] for event in events)


async def test_a_visitor_without_an_id_gets_one_for_all_messages(web: Front) -> None:
    socket = await web.client.ws_connect(f"{web.url}/tr/v1/ws")
    cookies = socket._response.cookies  # the client shows the upgrade's answer nowhere else
    for name in ("a", "b"):
        await socket.send_json({"ename": name})
    first, second = await web.until(2)
    await socket.close()
    assert first["vid"] == second["vid"] == cookies["vid"].value
    assert first["sid"] == second["sid"] == cookies["sid"].value
    assert first["is_new"] is True
    assert "is_new" not in second


async def test_the_upgrades_query_and_headers_hold_for_all_messages(web: Front) -> None:
    headers = {"Cookie": f"vid={VID}", "User-Agent": "Bot", "User": '{"app": "shop"}'}
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws?ack=1&utm_source=Mail", headers=headers) as socket:
        await socket.send_json({"ename": "x", "source": "other"})
        await ack(socket)
    [event] = web.events
    assert (event["vid"], event["browser"], event["app"], event["source"]) == (VID, "bot", "shop", "mail")
    assert "params" not in event


async def test_acknowledgements_come_in_order_once_a_frame_is_durable(web: Front) -> None:
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws?ack=1") as socket:
        web.spooler.open.clear()
        for frame in ("{}", "[{}, 5]", "{bad", ""):
            await socket.send_str(frame)
        first = asyncio.create_task(ack(socket))
        while web.count("tracker_events_received_total", route="ws") < 5:  # noqa: ASYNC110  # no signal
            await asyncio.sleep(0.005)
        assert not first.done()
        web.spooler.open.set()
        answers = [await first, *[await ack(socket) for _ in range(3)]]
    assert [answer["seq"] for answer in answers] == [1, 2, 3, 4]
    assert [answer["accepted"] for answer in answers] == [1, 1, 0, 0]
    assert [[entry["index"] for entry in answer["rejected"]] for answer in answers] == [[], [1], [0], [0]]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x03\x00",
        b"\x03\x00\x00\x00",
        bytes.fromhex("0300000030616263"),
        struct.pack("<I", 2_000_000_000) + b"0abc",
        struct.pack("<I", 1_000_000) + b"0abc",
        struct.pack("<I", 5) + b"\xff\xff\xff",
        struct.pack("<I", 0) + b"0abc",
        b"\xff" * 100,
    ],
)
async def test_a_bad_binary_frame_is_answered_and_the_socket_stays_open(web: Front, frame: bytes) -> None:
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws?ack=1") as socket:
        await socket.send_bytes(frame)
        answer = await ack(socket)
        assert answer["accepted"] == 0
        assert answer["rejected"][0]["reason"]
        await socket.send_bytes(packed({"ename": "fine"}))
        assert (await ack(socket)) == {"seq": 2, "accepted": 1, "rejected": []}


async def test_what_cannot_be_stored_is_said_in_the_acknowledgement(web: Front) -> None:
    web.spooler.fail("spool is full", 7)
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws?ack=1") as socket:
        await socket.send_str("{}")
        assert await ack(socket) == {
            "seq": 1,
            "accepted": 0,
            "rejected": [],
            "error": "spool is full",
            "retry_after": 7,
        }
    assert web.count("tracker_events_unpromised_total", route="ws") == 0


async def test_an_oversize_frame_closes_with_1009(web: Front) -> None:
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws") as socket:
        await socket.send_str("[" + " " * (1024 * 1024) + "]")
        message = await socket.receive(timeout=5)
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        assert socket.close_code == 1009
    assert web.events == []


async def test_an_idle_socket_is_closed() -> None:
    limits = WebLimits(websocket_idle_seconds=0.05)
    async with (
        front(WebSettings(limits=limits, trusted_proxies=LOOPBACK)) as web,
        web.client.ws_connect(f"{web.url}/tr/v1/ws") as socket,
    ):
        await socket.receive(timeout=5)
        assert socket.close_code == 1000


async def test_sockets_over_the_limit_are_503() -> None:
    limits = WebLimits(max_websockets=1)
    async with front(WebSettings(limits=limits, trusted_proxies=LOOPBACK)) as web:
        url = f"{web.url}/tr/v1/ws?ack=1"
        async with web.client.ws_connect(url):
            with pytest.raises(WSServerHandshakeError) as refused:
                await web.client.ws_connect(url)
            assert refused.value.status == 503
            assert web.count("tracker_websockets") == 1


async def test_a_request_that_is_no_upgrade_is_400(web: Front) -> None:
    async with web.client.get(f"{web.url}/tr/v1/ws") as answer:
        assert answer.status == 400
        assert await answer.text()


async def test_frames_in_flight_hold_up_reading(web: Front) -> None:
    web.spooler.open.clear()
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws?ack=1") as socket:
        for _ in range(100):
            await socket.send_str("{}")
        received = 0.0
        for _ in range(40):
            await asyncio.sleep(0.005)
            received = web.count("tracker_events_received_total", route="ws")
        assert 1 <= received <= 20
        web.spooler.open.set()
        answers = [await ack(socket) for _ in range(100)]
    assert [answer["seq"] for answer in answers] == list(range(1, 101))
    assert len(web.events) == 100


async def test_shutdown_acknowledges_what_was_taken_and_closes_with_1001(web: Front) -> None:
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws?ack=1") as socket:
        web.spooler.open.clear()
        await socket.send_str('{"ename": "last"}')
        while not web.count("tracker_events_received_total", route="ws"):  # noqa: ASYNC110  # no signal
            await asyncio.sleep(0.005)
        stopping = asyncio.create_task(web.serving.stop())
        await asyncio.sleep(0)
        web.spooler.open.set()
        assert (await ack(socket))["accepted"] == 1
        await socket.receive(timeout=5)
        assert socket.close_code == 1001
        async with asyncio.timeout(5):
            await stopping
    assert [event["ename"] for event in web.events] == ["last"]


async def test_a_sub_protocol_is_spoken_as_asked(web: Front) -> None:
    async with web.client.ws_connect(f"{web.url}/tr/v1/ws", protocols=("v1.tracker",)) as socket:
        assert socket.protocol == "v1.tracker"
