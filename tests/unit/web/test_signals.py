"""What a browser's wishes are when they are read from its headers, and who is told an id."""

import pytest

from tests.support.web import front
from tracker.events import Identity
from tracker.web.cookies import CookieWriter, Sites
from tracker.web.requests import _is_one
from tracker.web.settings import CookieSettings, WebSettings

VID = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize(
    ("sent", "is_given"),
    [
        *(
            (None, False),
            ("", False),
            ("0", False),
            ("1", True),
            (" 1 ", True),
            ("1, 1", True),
            ("0, 1", True),
        ),
        *(("true", False), ("11", False), ("1;q=1", False), ("\u00b9", False)),
    ],
)
def test_a_wish_is_a_one_and_nothing_else(sent: str | None, is_given: bool) -> None:
    assert _is_one(sent) is is_given


def test_a_cookie_says_only_what_lasts() -> None:
    writer = CookieWriter(CookieSettings(), Sites())
    who = Identity(VID, VID, VID, is_new=True)
    assert writer.lines_for(who, "example.com", is_https=True).count(b"Set-Cookie") == 2
    assert writer.lines_for(who._replace(is_lasting=False), "example.com", is_https=True) == b""


@pytest.mark.parametrize("is_honoured", [True, False])
async def test_the_statement_is_as_the_settings_are(is_honoured: bool) -> None:
    async with front(WebSettings(honours_gpc=is_honoured)) as web:
        async with web.client.get(f"{web.url}/.well-known/gpc.json") as answer:
            assert answer.status == 200
            assert (await answer.json())["gpc"] is is_honoured
        async with web.client.post(f"{web.url}/.well-known/gpc.json") as answer:
            assert answer.status == 405
