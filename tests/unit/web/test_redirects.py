import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.steps.hosts import target_host
from tracker.web.cookies import Sites
from tracker.web.redirects import Redirect, RedirectRules

SITES = Sites()
RULES = RedirectRules(("go.example", "*.ok.example", "Shop.example:443"), "", SITES)


@pytest.mark.parametrize(
    ("target", "asked", "is_allowed"),
    [
        ("https://go.example/", "t.example", True),
        ("https://sub.go.example/", "t.other", False),
        ("https://a.b.ok.example/", "t.other", True),
        ("https://ok.example/", "t.other", False),
        ("https://notok.example/", "t.other", False),
        ("https://shop.example:8443/", "t.other", True),
        ("https://www.site.co.uk/", "track.site.co.uk", True),
        ("https://other.co.uk/", "track.site.co.uk", False),
        ("https://a.github.io/", "b.github.io", False),
        ("http://localhost:3000/", "localhost", True),
        ("http://127.0.0.1/", "127.0.0.1", True),
        ("http://127.0.0.2/", "127.0.0.1", False),
        ("http://[::1]:8080/", "::1", True),
        ("https://go.example./", "t.other", True),
    ],
)
def test_only_named_hosts_and_the_own_site_are_allowed(target: str, asked: str, is_allowed: bool) -> None:
    assert (RULES.decide(target, asked).outcome == "allowed") is is_allowed


@pytest.mark.parametrize(
    "target",
    [
        "https://go.example@evil.example/",
        "https://user:pass@go.example/",
        "https://go.example\\.evil.example/",
        "https:\\\\go.example/",
        "https:///go.example/",
        "https://go.example%2eevil.example/",
        "https://go.example:443:80/",
        "https://go.example:port/",
        "https://evil.example\uff0f.ok.example/",
        "https://\u24d6o.example/",
        "https://go.example/\n",
        "https://go.example/\x7f",
        " https://go.example/",
        "https://go.example /",
        "//go.example/",
        "/local",
        "javascript://go.example/%0aalert(1)",
        "data:text/html,x",
        "https://[::1/",
        "https://go.example/" + "a" * 5000,
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(target: str) -> None:
    assert RULES.decide(target, "go.example") == Redirect("refused", "")


@given(st.text())
def test_a_location_is_always_a_plain_header_value(text: str) -> None:
    for target in (text, f"https://go.example/{text}"):
        decided = RULES.decide(target, "t.example")
        assert decided.location.isascii()
        assert decided.location.isprintable()
        if decided.outcome == "allowed":
            assert target_host(decided.location) == target_host(target)


def test_the_default_takes_the_place_of_what_is_refused() -> None:
    rules = RedirectRules((), "https://home.example/", SITES)
    assert rules.decide(None, "x") == Redirect("default", "https://home.example/")
    assert rules.decide("https://evil.example/", "x").outcome == "default"
