"""Erasure and export over HTTP: for administrators only, and a clear answer to whatever is sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.links import ADMIN, PASSWORD, UID, MemoryStore, services_of
from tests.support.web import Front, front
from tracker.errors import TrackerError
from tracker.persons.asked import Naming, asked_of
from tracker.steps import ids
from tracker.web import persons

AS_ADMIN = {"Authorization": f"Bearer {ADMIN}:{PASSWORD}"}
AS_USER = {"Authorization": f"Bearer {UID}:{PASSWORD}"}


class Erasures:
    """Answers as the procedure does."""

    def __init__(self) -> None:
        self.state = "closed"
        self.failure: Exception | None = None
        self.said: list[Mapping[str, Any]] = []

    def check(self, said: Mapping[str, Any]) -> None:
        asked_of(said, Naming(ids.NAMESPACE, ""))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def forget(
        self, said: Mapping[str, Any], *, patience_seconds: float | None = None
    ) -> dict[str, Any]:
        self._fail()
        self.check(said)
        assert patience_seconds == persons.PATIENCE_SECONDS
        self.said.append(said)
        return {"receipt": "r1", "state": self.state}

    async def export(self, said: Mapping[str, Any]) -> AsyncGenerator[bytes | Mapping[str, Any], None]:
        self.check(said)
        yield b'{"place":"s","table":"events","row":{}}\n'
        yield {"rows": {"s": 1}, "away": {}}

    async def receipt(self, receipt: str) -> dict[str, Any] | None:
        self._fail()
        return {"receipt": receipt, "state": self.state} if receipt == "r1" else None


@pytest.fixture
def erasures() -> Erasures:
    return Erasures()


@pytest.fixture
async def web(erasures: Erasures) -> AsyncIterator[Front]:
    async with front(services=replace(services_of(MemoryStore()), persons=erasures)) as running:
        yield running


async def ask(web: Front, action: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
    url = f"{web.url}/tr/v1/ppi/{action}"
    async with web.client.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_it_is_done_or_under_way(web: Front, erasures: Erasures) -> None:
    assert await ask(web, "forget", {"vid": "anna"}, AS_ADMIN) == (200, '{"receipt":"r1","state":"closed"}')
    erasures.state = "open"
    assert (await ask(web, "forget", {"vid": "anna"}, AS_ADMIN))[0] == 202
    assert (await ask(web, "forget", {"receipt": "r1"}, AS_ADMIN))[0] == 202
    assert (await ask(web, "forget", {"receipt": "r2"}, AS_ADMIN))[0] == 404
    assert erasures.said == [{"vid": "anna"}] * 2


@pytest.mark.parametrize("action", ["forget", "export"])
async def test_only_administrators_may(web: Front, erasures: Erasures, action: str) -> None:
    assert (await ask(web, action, {"vid": "anna"}, {}))[0] == 401
    assert await ask(web, action, {"vid": "anna"}, AS_USER) == (403, persons.ONLY_ADMIN)
    assert (await ask(web, action, {"vid": "anna"}, {"Authorization": f"Bearer {ADMIN}:wrong"}))[0] == 401
    assert erasures.said == []


async def test_an_export_is_lines_of_json_and_the_counts(web: Front) -> None:
    status, text = await ask(web, "export", {"email": "a@b.c"}, AS_ADMIN)
    assert (status, text.splitlines()) == (
        200,
        ['{"place":"s","table":"events","row":{}}', '{"end":{"rows":{"s":1},"away":{}}}'],
    )


async def test_an_export_that_is_too_large_names_the_command(
    web: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "MOST_BYTES", 10)
    status, text = await ask(web, "export", {"vid": "anna"}, AS_ADMIN)
    assert status == 413
    assert "python -m tracker export" in text


async def test_what_cannot_be_read_now_may_be_asked_again(web: Front, erasures: Erasures) -> None:
    erasures.failure = TrackerError("the receipts /secret/path cannot be used")
    for said in ({"vid": "anna"}, {"receipt": "r1"}):
        status, text = await ask(web, "forget", said, AS_ADMIN)
        assert status == 503
        assert "/secret" not in text


async def test_the_address_names_nobody(web: Front) -> None:
    async with web.client.get(f"{web.url}/tr/v1/ppi/forget?vid=anna", headers=AS_ADMIN) as answer:
        assert answer.status == 405


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(["vid", "uid", "email", "oid", "keep", "dry_run", "receipt", "x"]), JSON)
    | JSON
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_has_a_clear_answer(web: Front, body: Any) -> None:
    for action in ("forget", "export"):
        status, text = await ask(web, action, body, AS_ADMIN)
        assert status in (200, 202, 400, 404), (status, text)
