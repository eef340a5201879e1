"""What was paid in all, asked of the real server whose payments came over HTTP."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_side_by_side import Asked, assert_same, delivered, stores_in
from tests.support.server import Server, running
from tracker.commands.client import ControlClient
from tracker.commands.settings import load_config
from tracker.steps.ids import named

LTV = "/tr/v1/ltv/"
PAYER = {"vid": "user-id", "uid": "user-123", "oid": "org-id"}


async def asked(server: Server, question: str) -> list[list[Any]]:
    """The rows of an answer."""
    store = Asked(ControlClient(load_config(server.config).admin.socket), "file")
    return [list(row) for row in (await store.query(question, max_rows=100, timeout_seconds=10)).rows]


async def stored(server: Server, count: int) -> None:
    """Wait until so many payments are in the store."""
    async with asyncio.timeout(20):
        while await asked(server, "SELECT count(*) FROM payments") != [[count]]:  # noqa: ASYNC110 (it says nothing by itself)
            await asyncio.sleep(0.1)


async def paid(server: Server, id_type: str, text: str) -> dict[str, Decimal]:
    """By currency, through the `ltv` view."""
    question = f"SELECT currency, paid FROM ltv WHERE id_type = '{id_type}' AND id = '{named(text)}'"  # noqa: S608 (our own)
    return {currency: Decimal(amount) for currency, amount in await asked(server, question)}


@pytest.mark.long
async def test_the_readmes_payments_are_summed_once_however_often_they_come(tmp_path: Path) -> None:
    one = {**PAYER, "amt": 99.99, "currency": "USD", "orid": "order-123"}
    some = [
        {"amt": 50.00, "currency": "USD", "orid": "order-124"},
        {"amt": 25.00, "currency": "USD", "orid": "order-125"},
    ]
    refund = {**one, "amt": -20}
    keyed = {"Idempotency-Key": "checkout-7"}
    with running(tmp_path, Notify=stores_in(tmp_path)[:1]) as server:
        assert server.post(LTV, one) == (200, b"")
        assert server.post(LTV, {**PAYER, "payments": some}) == (200, b'{"accepted":2,"rejected":[]}')
        assert server.post(LTV, {**PAYER, "amt": 149.99}, keyed) == (200, b"")
        await stored(server, 4)
        server.kill()
        server.start_again()
        assert server.post(LTV, one)[0] == 200
        assert server.post(LTV, {**PAYER, "payments": [*some, *some[:1]]})[0] == 200
        assert server.post(LTV, {**PAYER, "amt": 149.99}, keyed)[0] == 200
        assert server.post(LTV, refund)[0] == 200
        assert server.get(f"{LTV}uid/user-123?oid=org-id&orid=order-123&amt=5.5&currency=eur")[0] == 200
        await stored(server, 7)
        assert await paid(server, "uid", "user-123") == {
            "USD": Decimal("99.99") + 50 + 50 + 25 + Decimal("149.99") - 20,
            "EUR": Decimal("5.5"),
        }
        assert await paid(server, "orid", "order-123") == {"USD": Decimal("79.99"), "EUR": Decimal("5.5")}
        assert await paid(server, "orid", "order-124") == {"USD": Decimal(100)}  # one body had it twice
        assert server.rows("SELECT * FROM ltv ORDER BY updated_at DESC LIMIT 10")[0]["currency"] == "EUR"


@pytest.mark.long
async def test_ten_thousand_payments_are_exact_and_the_same_in_both_stores(tmp_path: Path) -> None:
    with running(tmp_path, Notify=stores_in(tmp_path)) as server:
        for body in range(100):
            items = [{"amt": (0.1, 0.2)[n % 2], "orid": f"{body}-{n // 2}"} for n in range(200)]
            told = server.post(LTV, {**PAYER, "payments": items})
            assert told == (200, b'{"accepted":200,"rejected":[]}')
            if body % 10 == 0:
                assert server.post(LTV, {**PAYER, "payments": items})[0] == 200
        control = ControlClient(load_config(server.config).admin.socket)
        await delivered(control)
        file, engine = Asked(control, "file"), Asked(control, "engine")
        for store in (file, engine):
            for question in ("SELECT sum(revenue) FROM payments", "SELECT sum(paid) FROM ltvu"):
                answer = await store.query(question, max_rows=1, timeout_seconds=30)
                assert answer.rows == [["3000.000000000"]]
        counts = await assert_same(file, engine)
        assert (counts["payments"], counts["ltv"], counts["ltvu"], counts["ltvv"]) == (
            *(20_000, 10_002, 10_000, 10_000),
        )
        assert server.stop() == 0
