"""What the route of payments answers and stores, over real sockets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.web import LOOPBACK, Front, front
from tracker.web.settings import WebLimits, WebSettings

SMALL = WebLimits(max_body_bytes=2000, max_inflated_bytes=4000, max_events=3, max_depth=5)
VID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"
LEAST = b'{"vid": "user-id", "uid": "user-123", "oid": "org-id", "amt": 149.99}'


@pytest.fixture
async def web() -> AsyncIterator[Front]:
    async with front() as running:
        yield running


@pytest.fixture
async def small() -> AsyncIterator[Front]:
    async with front(WebSettings(limits=SMALL, trusted_proxies=LOOPBACK)) as running:
        yield running


def payments(web: Front) -> list[dict[str, Any]]:
    return [json.loads(row.line) for entry in web.spooler.entries for row in entry.rows]


async def post(web: Front, body: bytes | Any, **headers: str) -> tuple[int, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with web.client.post(f"{web.url}/tr/v1/ltv/", data=data, headers=headers) as answer:
        assert "Set-Cookie" not in answer.headers
        return answer.status, await answer.read()


async def test_one_payment_is_stored_before_its_empty_answer(web: Front) -> None:
    assert await post(web, LEAST) == (200, b"")
    [paid] = payments(web)
    assert (paid["revenue"], paid["params"]["uid"]) == ("149.99", "user-123")
    assert "hhash" in paid


async def test_several_payments_are_answered_one_by_one(web: Front) -> None:
    items = [{"amt": 50.00, "orid": "order-124"}, {"amt": "x"}, {"amt": 25, "orid": "order-125"}, 7]
    status, body = await post(web, {"uid": "u", "payments": items})
    refused = [
        {"index": 1, "reason": "amt: expected a decimal number below 1e+20"},
        {"index": 3, "reason": "expected a JSON object"},
    ]
    assert (status, json.loads(body)) == (200, {"accepted": 2, "rejected": refused})
    assert [paid["revenue"] for paid in payments(web)] == ["50", "25"]
    assert web.count("tracker_events_received_total", route="ltv") == 4
    assert web.count("tracker_events_accepted_total", route="ltv") == 2
    assert web.count("tracker_events_rejected_total", route="ltv", reason="field") == 1


async def test_when_nothing_is_good_the_answer_says_so(web: Front) -> None:
    status, body = await post(web, {"payments": [{"amt": "x"}]})
    assert (status, json.loads(body)["accepted"]) == (400, 0)
    assert await post(web, {"amt": 1, "currency": "ZZZ"}) == (400, b"currency: expected a code of ISO 4217")
    assert payments(web) == []


async def test_a_get_says_it_by_query_path_and_cookies(web: Front) -> None:
    url = f"{web.url}/tr/v1/ltv/uid/user-123/oid/org-id?amt=0.30&currency=eur&orid=o%2F1"
    async with web.client.get(url, headers={"Cookie": f"vid={VID}"}) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    [paid] = payments(web)
    assert (paid["revenue"], paid["currency"], paid["vid"]) == ("0.3", "EUR", VID)
    assert paid["params"] == {"uid": "user-123", "oid": "org-id", "orid": "o/1"}


async def test_numbers_are_read_from_the_text_that_was_sent(web: Front) -> None:
    body = b'{"amt": 12345678901234567890.123456789, "tax": 0.30000000000000004, "price": 1E2}'
    assert (await post(web, body))[0] == 200
    [paid] = payments(web)
    assert (paid["revenue"], paid["tax"], paid["price"]) == ("12345678901234567890.123456789", "0.3", "100")


async def test_the_same_key_is_the_same_payment_whatever_else_differs(web: Front) -> None:
    for _ in range(2):
        assert (await post(web, LEAST, **{"Idempotency-Key": "a"}))[0] == 200
    assert (await post(web, LEAST, **{"Idempotency-Key": "b"}))[0] == 200
    first, again, other = [paid["id"] for paid in payments(web)]
    assert first == again != other


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x01b", "\xff"])
async def test_a_key_that_is_none_is_refused(web: Front, key: str) -> None:
    head = f"POST /tr/v1/ltv HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(LEAST)}\r\n"
    answer = await web.raw(f"{head}Idempotency-Key: {key}\r\n\r\n".encode("latin-1") + LEAST)
    assert answer.split()[1] == b"400"
    assert payments(web) == []


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"[]", b"[1]", b"7", b'"x"', b"null", b'{"amt": NaN}', b'{"amt": 1e999}', b"{}"),
        *(
            b"\xff",
            b'{"amt":1,"payments":{}}',
            b'{"amt":1,"x":"\\ud800"}',
            b"[" * 5000,
            LEAST + b"\n" + LEAST,
        ),
    ],
    ids=range(16),
)
async def test_what_can_never_be_stored_is_refused_with_a_reason(web: Front, body: bytes) -> None:
    status, reason = await post(web, body)
    assert (status, payments(web)) == (400, [])
    assert reason
    assert web.count("tracker_events_received_total", route="ltv") == 1


async def test_bodies_are_bounded(small: Front) -> None:
    assert (await post(small, b'{"amt": 1, "x": "' + b"y" * 2000 + b'"}'))[0] == 413
    assert (await post(small, {"payments": [{"amt": 1}] * 4}))[0] == 413
    assert (await post(small, b'{"amt": 1, "x": ' + b"[" * 9 + b"]" * 9 + b"}"))[0] == 400
    assert small.count("tracker_events_received_total", route="ltv") == 3
    assert (await post(small, {"payments": [{"amt": 1}] * 3}))[0] == 200


async def test_what_cannot_be_stored_now_is_not_acknowledged(web: Front) -> None:
    web.spooler.fail()
    for body in (LEAST, {"payments": [{"amt": 1}]}):
        assert (await post(web, body))[0] == 503


async def test_other_methods_are_refused_and_preflight_answered(web: Front) -> None:
    async with web.client.options(f"{web.url}/tr/v1/ltv/", headers={"Origin": "https://a.example"}) as answer:
        assert answer.status == 200
    async with web.client.delete(f"{web.url}/tr/v1/ltv/") as answer:
        assert answer.status == 405
