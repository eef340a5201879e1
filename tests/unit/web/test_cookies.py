import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.events import Identity
from tracker.steps.merge import CookieNames
from tracker.web.cookies import CookieWriter, Sites, parse_cookies
from tracker.web.cors import Cors
from tracker.web.settings import CookieSettings

WHO = Identity("e", "v", "s", is_new=False)
SITES = Sites()


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ('a="quoted"; b=x=y; c', {"a": "quoted", "b": "x=y"}),
        ("a=first; a=second", {"a": "first"}),
        (" a = 1 ;; =2", {"a": "1"}),
    ],
)
def test_cookies_are_pairs_and_the_first_of_a_name_counts(header: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(header) == cookies


@given(st.text())
def test_any_header_is_some_cookies(header: str) -> None:
    assert all(name for name in parse_cookies(header))


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("www.example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("me.github.io", "me.github.io"),
        ("co.uk", ""),
        ("github.io", ""),
        ("localhost", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
        ("evil.com; Secure", ""),
        ("a,b.example.com", ""),
        ("host.internal", ""),
    ],
)
def test_the_site_is_the_registrable_domain(host: str, site: str) -> None:
    assert SITES.registrable(host) == site


def test_cookie_lines_follow_their_settings() -> None:
    settings = CookieSettings(CookieNames(vid="v_id", sid="s_id"), "None", 10, 20)
    lines = CookieWriter(settings, SITES).lines_for(WHO, "www.example.com", is_https=True)
    end = b"SameSite=None; Domain=example.com; Secure\r\n"
    assert lines == (
        b"Set-Cookie: v_id=v; Path=/; Max-Age=10; " + end + b"Set-Cookie: s_id=s; Path=/; Max-Age=20; " + end
    )


def test_a_cookie_name_that_is_no_token_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="cookie name"):
        CookieWriter(CookieSettings(CookieNames(vid="a b")), SITES)


@pytest.mark.parametrize(
    ("allowed", "origin", "answer"),
    [
        ("*", "https://a.example", b"Access-Control-Allow-Origin: *\r\n"),
        ("*", "", b"Access-Control-Allow-Origin: *\r\n"),
        ("https://a.example,https://b.example", "https://c.example", b"Vary: Origin\r\n"),
        ("https://a.example,https://b.example", "null", b"Vary: Origin\r\n"),
        ("", "https://a.example", b"Vary: Origin\r\n"),
    ],
)
def test_origins_that_are_not_named_get_no_credentials(allowed: str, origin: str, answer: bytes) -> None:
    assert Cors(allowed).lines_for(origin) == answer


def test_a_named_origin_gets_credentials() -> None:
    expected = (
        b"Access-Control-Allow-Origin: https://a.example\r\n"
        b"Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n"
    )
    assert Cors("https://a.example, https://b.example").lines_for("https://a.example") == expected
    assert Cors("https://a.example").lines_for("") == expected
