"""Credentials in headers and paths: what is read from them, and which answer a refusal is."""

import base64
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.web import LOOPBACK
from tracker.errors import Denied, LockedOut
from tracker.records.accounts import Account
from tracker.web.credentials import Credentials, Refused

ACCOUNT = Account("018f6f2e-0000-7000-8000-000000000001", frozenset(), is_admin=False)


class Checker:
    """Remembers what it was asked; lets in the one password."""

    def __init__(self, password: str = "päss:wörd/%2F") -> None:  # noqa: S107 (a test's)
        self.asked: list[tuple[str, str, str]] = []
        self.password = password

    async def check(self, uid_text: str, password: str, address: str) -> Account:
        self.asked.append((uid_text, password, address))
        if password == "locked":
            raise LockedOut(17)
        if password != self.password:
            raise Denied
        return ACCOUNT


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def request(**headers: str) -> Any:
    return make_mocked_request("GET", "/tr/v1/rpi/redirects", headers={**headers, "Host": "a.example"})


async def refusal(credentials: Credentials, authorization: str = "", *path: str) -> Refused:
    headers = {"Authorization": authorization} if authorization else {}
    with pytest.raises(Refused) as caught:
        await credentials.account(request(**headers), *path)
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        basic("u:päss:wörd/%2F"),
        basic("u:päss:wörd/%2F").replace("Basic", "BASIC").rstrip("="),
        "Bearer " + base64.urlsafe_b64encode("u:päss:wörd/%2F".encode()).decode(),
        "bearer  " + base64.urlsafe_b64encode("u:päss:wörd/%2F".encode()).decode().rstrip("="),
    ],
    ids=["basic", "capitals", "bearer", "unpadded"],
)
async def test_uid_and_password_are_read_from_a_header(header: str) -> None:
    checker = Checker()
    assert await Credentials(checker).account(request(Authorization=header)) == ACCOUNT
    assert checker.asked == [("u", "päss:wörd/%2F", "")]


async def test_a_bearer_may_be_plain_text() -> None:
    checker = Checker("open sesame")
    await Credentials(checker).account(request(Authorization="Bearer u:open sesame"))
    assert checker.asked == [("u", "open sesame", "")]


async def test_a_header_goes_before_the_path() -> None:
    checker = Checker()
    await Credentials(checker).account(request(Authorization=basic(f"u:{checker.password}")), "p", "wrong")
    assert checker.asked[0][0] == "u"


async def test_the_paths_form_works_and_its_refusals_are_the_originals() -> None:
    credentials = Credentials(checker := Checker())
    assert await credentials.account(request(), "u", checker.password) == ACCOUNT
    for path, reason in ((("u", "x"), "Bad pass"), (("u", ""), "User pass not provided")):
        refused = await refusal(credentials, "", *path)
        assert (refused.status, refused.reason, refused.head) == (400, reason, b"")
    assert (await refusal(credentials, "", "", "x")).reason == "User ID not provided"


async def test_the_paths_form_can_be_refused_and_then_no_password_is_looked_at() -> None:
    credentials = Credentials(checker := Checker(), may_be_in_path=False)
    refused = await refusal(credentials, "", "u", checker.password)
    assert refused.status == 401
    assert "Authorization" in refused.reason
    assert b"WWW-Authenticate: Basic" in refused.head
    assert checker.asked == []


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "User ID not provided"),
        (basic("u:wrong"), "Bad pass"),
        (basic(":x"), "User ID not provided"),
        (basic("u:"), "User pass not provided"),
        (basic("no colon"), "Authorization must be"),
        ("Basic", "Authorization must be"),
        ("Basic !!!!", "Authorization must be"),
        ("Basic dTp3!cm9uZw==", "Authorization must be"),
        ("Basic " + base64.b64encode(b"u:\xff\xfe").decode(), "Authorization must be"),
        ("Digest username=u", "Authorization must be"),
        ("Bearer é", "Authorization must be"),
    ],
)
async def test_a_header_that_is_not_enough_gets_401_and_is_told_what_to_send(
    header: str, reason: str
) -> None:
    refused = await refusal(Credentials(Checker()), header)
    assert refused.status == 401
    assert refused.reason.startswith(reason)
    assert b'WWW-Authenticate: Basic realm="tracker"' in refused.head


async def test_who_is_locked_out_is_told_for_how_long() -> None:
    for refused in (
        await refusal(Credentials(Checker()), basic("u:locked")),
        await refusal(Credentials(Checker()), "", "u", "locked"),
    ):
        assert (refused.status, refused.reason) == (429, "Too many attempts")
        assert b"Retry-After: 17\r\n" in refused.head


@settings(max_examples=150, deadline=None)
@given(header=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80))
async def test_any_header_is_an_account_or_a_refusal_that_does_not_repeat_it(header: str) -> None:
    refused = await refusal(Credentials(Checker()), header)
    assert refused.status == 401
    assert "u:" not in refused.reason


@settings(max_examples=100, deadline=None)
@given(uid=st.text(st.characters(), max_size=40), password=st.text(st.characters(), max_size=40))
async def test_any_path_is_an_account_or_a_refusal_that_does_not_repeat_it(uid: str, password: str) -> None:
    refused = await refusal(Credentials(Checker()), "", uid, password)
    assert refused.status in (400, 401)
    assert refused.__cause__ is None
    assert refused.reason in ("Bad pass", "User ID not provided", "User pass not provided")


async def test_wrong_passwords_count_for_the_client_and_not_for_the_proxy() -> None:
    checker = Checker()
    credentials = Credentials(checker, LOOPBACK)
    asked = request(Authorization=basic("u:x"), **{"X-Forwarded-For": "203.0.113.9"})
    asked.transport.get_extra_info = lambda name: ("127.0.0.1", 1) if name == "peername" else None
    with pytest.raises(Refused):
        await credentials.account(asked)
    assert checker.asked[0][2] == "203.0.113.9"
