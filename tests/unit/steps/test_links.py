"""Short links as pure values: which may be made, under which key they are found, where they lead."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import BadHit
from tracker.steps import ids
from tracker.steps.hosts import ascii_host, origin_of, target_host, with_ascii_host
from tracker.steps.json_input import loads
from tracker.steps.links import (
    Link,
    LinkRules,
    address_key,
    history_row,
    link_key,
    link_path,
    link_row,
    rows_of,
    way_of,
)

RULES = LinkRules("v1", ("tr.example", "*.own.example", " Cased.Example:8443 "), ("ping", "metrics"))
FROM, TO = "https://go.example/sale", "https://shop.example/a/b?x=1#top"
OID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3a"
TRACKED = "https://tr.example/tr/v1/rdr/?url="


def made(**body: Any) -> Link:
    return RULES.read({"urlfrom": FROM, "urlto": TO, **body})


def refusal(**body: Any) -> str:
    with pytest.raises(BadHit) as caught:
        made(**body)
    assert caught.value.code == "bad_link"
    return caught.value.reason


def test_a_link_has_its_host_and_path_as_key_and_keeps_what_was_sent() -> None:
    link = made(urlfrom=" HTTPS://Go.Example:8443/Sale?a=B#c ", oid=OID.upper(), org=" Acme ")
    assert link == Link("go.example", "/sale", "https://go.example:8443/sale?a=b#c", TO, "x=1", OID, "Acme")
    assert link.key == "go.example/sale"


@pytest.mark.parametrize(
    "sent", ["go.example/sale", "//go.example/sale", "http://go.example/sale", "https://GO.example./sale"]
)
def test_the_scheme_of_a_short_link_is_no_part_of_it(sent: str) -> None:
    assert made(urlfrom=sent).key == "go.example/sale"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"urlfrom": None}, "Bad URL (null)"),
        ({"urlto": " "}, "Bad URL (null)"),
        ({"urlto": 7}, "Bad URL (null)"),
        ({"urlfrom": ["x"]}, "Bad URL (null)"),
        ({"urlfrom": "https://A.example/b", "urlto": "https://a.example/B"}, "Bad URL (equal)"),
        ({"urlto": "javascript:alert(1)"}, "Bad URL (destination)"),
        ({"urlto": "data:text/html,x"}, "Bad URL (destination)"),
        ({"urlto": "/local"}, "Bad URL (destination)"),
        ({"urlto": "//evil.example/"}, "Bad URL (destination)"),
        ({"urlto": "https://a.example@b.example/"}, "Bad URL (destination)"),
        ({"urlto": "https://a.example\\@b.example/"}, "Bad URL (destination)"),
        ({"urlto": "https://a.example/\x00"}, "Bad URL (destination)"),
        ({"urlto": "https://a.example/" + "x" * 5000}, "Bad URL (destination)"),
        ({"urlto": "https://xn--a/"}, "Bad URL (destination)"),
        ({"urlto": "https://\u2100.example/"}, "Bad URL (destination)"),
        ({"urlto": f"{TRACKED}javascript:alert(1)"}, "Bad URL (destination)"),
        ({"urlto": f"{TRACKED}//evil.example/"}, "Bad URL (destination)"),
        ({"urlto": "https://tr.example/tr/v1/rdr/?ename=x"}, "Bad URL (destination)"),
        ({"urlto": "https://tr.example/x"}, "Bad URL (self-referential)"),
        ({"urlto": "https://TR.example:8443/x"}, "Bad URL (self-referential)"),
        ({"urlto": "https://a.own.example/x"}, "Bad URL (self-referential)"),
        ({"urlto": "https://cased.example/x"}, "Bad URL (self-referential)"),
        ({"urlto": "https://tr.example/x/rdr/"}, "Bad URL (self-referential)"),
        ({"urlto": "https://tr.example/tr/v2/rdr/?url=https://a.example/"}, "Bad URL (self-referential)"),
        ({"urlto": "http://go.example:81/SALE?other"}, "Bad URL (self-referential)"),
        ({"urlfrom": "ftp://go.example/sale"}, "Bad URL (from)"),
        ({"urlfrom": "javascript:alert(1)"}, "Bad URL (from)"),
        ({"urlfrom": "/sale"}, "Bad URL (from)"),
        ({"urlfrom": "https:///sale"}, "Bad URL (from)"),
        ({"urlfrom": "https://user@go.example/sale"}, "Bad URL (from)"),
        ({"urlfrom": "https://go.example:port/sale"}, "Bad URL (from)"),
        ({"urlfrom": "https://go.example"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a%2Fb"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a%5cb"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a\\b"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a/../b"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a/%2e%2E/b"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a//b"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a%00"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/a\u202eb"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/%ff"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/" + "x" * 3000}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/ping"}, "Bad URL (from path)"),
        ({"urlfrom": "https://go.example/tr/v1/rdr"}, "Bad URL (from path)"),
        ({"oid": {"a": 1}}, "Bad request (data)"),
        ({"org": ["a"]}, "Bad request (data)"),
        ({"searchto": "x" * 5000}, "Bad request (data)"),
    ],
    ids=str,
)
def test_a_bad_link_is_refused_in_the_originals_words(body: dict[str, Any], reason: str) -> None:
    assert refusal(**body) == reason


def test_a_tracked_link_may_lead_through_our_own_redirect() -> None:
    assert made(urlto=f"{TRACKED}https%3A%2F%2Fa.example%2F").urlto.startswith(TRACKED)
    assert made(urlto=f"{TRACKED}/path&oid=acme").key == "go.example/sale"


def test_international_and_punycode_names_are_one_host() -> None:
    keys = {
        made(urlfrom=f"https://{host}/\u00dc", urlto="https://a.example").key
        for host in (
            "b\u00fccher.example",
            "B\u00dcCHER.example",
            "xn--bcher-kva.example",
            "bu\u0308cher.example",
        )
    }
    assert keys == {"xn--bcher-kva.example/\u00fc"}
    assert link_key("b\u00fccher.example", "/%C3%9C") in keys
    assert made(urlto="https://b\u00fccher.example:81/x").urlto == "https://xn--bcher-kva.example:81/x"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/Sale", "/sale"),
        ("/a/b.c-d_e~f", "/a/b.c-d_e~f"),
        ("/a/", "/a/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a%20b", "/a b"),
        ("/%53ale", "/sale"),
        ("/", "/"),
        ("", ""),
        ("a", ""),
        ("/a%2fb", ""),
        ("/a%252fb", ""),
        ("/../a", ""),
        ("/a%0d%0ab", ""),
    ],
)
def test_a_path_has_one_form(raw: str, path: str) -> None:
    assert link_path(raw) == path


@given(st.text(max_size=80))
def test_the_form_of_a_path_is_its_own_form(text: str) -> None:
    path = link_path(f"/{text}")
    assert link_path(path) in ("", path)
    assert path.isprintable()


def test_where_a_plain_link_leads() -> None:
    assert way_of(TO, "v1").target == TO
    assert way_of(TO, "v1").values is None
    for bad in ("javascript:alert(1)", "/local", "//evil.example/", "", "https://a@b/"):
        assert way_of(bad, "v1").target == ""


def test_a_tracked_link_leads_to_its_own_target_and_says_what_its_clicks_are() -> None:
    way = way_of(
        f"{TRACKED}https%3A%2F%2Fa.example%2F%3Fq%3D1&utm_source=News&utm_medium=mail&ename=opened&x=Y", "v1"
    )
    assert way.target == "https://a.example/?q=1"
    assert way.values == {"source": "News", "medium": "mail", "ename": "opened", "x": "Y"}


def test_a_path_is_below_the_host_of_the_organisation() -> None:
    way = way_of(f"{TRACKED}/offer?a=1&oid={OID}", "v1")
    assert (way.target, way.oid) == ("/offer?a=1", OID)
    assert way_of(f"{TRACKED}/offer&oid=acme", "v1").oid == ids.named("acme")


@pytest.mark.parametrize("bad", ["javascript:alert(1)", "//evil.example/", "/%5Cevil.example/", ""])
def test_a_tracked_link_without_a_safe_target_leads_to_the_tracked_redirect(bad: str) -> None:
    assert way_of(f"{TRACKED}{bad}", "v1").target == f"{TRACKED}{bad}"


@given(st.text(max_size=80))
def test_no_stored_link_leads_anywhere_but_to_http_or_a_path(text: str) -> None:
    for urlto in (text, f"https://{text}", f"{TRACKED}{text}", f"/{text}"):
        target = way_of(urlto, "v1").target
        if target.startswith("/"):
            assert not target.startswith(("//", "/\\"))
        elif target:
            assert target_host(target)
            assert target.lower().startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("shop.example", "https://shop.example"),
        (" http://shop.example:81/ ", "http://shop.example:81"),
        ("b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("shop.example/path", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
        ("a@b", ""),
    ],
)
def test_an_organisations_host_is_an_origin(text: str, origin: str) -> None:
    assert origin_of(text) == origin


def test_the_rows_say_what_was_made_by_whom() -> None:
    link, now = made(oid=OID, org="acme"), "2026-11-23 10:00:00.000Z"
    current = link_row(link, OID, now, now)
    assert current == {
        "hhash": "1ldun2f",
        "urlfrom": "go.example/sale",
        "urlto": TO,
        "oid": OID,
        "org": "acme",
        "updated_at": now,
        "updater": OID,
        "created_at": now,
    }
    history = history_row(link, OID, now)
    assert history.pop("id")
    assert history == {
        "urlfrom": FROM,
        "hostfrom": "go.example",
        "slugfrom": "/sale",
        "urlto": TO,
        "hostto": "shop.example",
        "pathto": "/a/b",
        "searchto": "x=1",
        "oid": OID,
        "org": "acme",
        "updater": OID,
        "updated_at": now,
    }
    assert [row.table for row in rows_of(current, history)] == ["redirects", "redirect_history"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TEXTS = st.text(max_size=40) | st.sampled_from(
    ["https://a.example/b", "b\u00fccher.example/x", "xn--/", "1e400"]
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("urlfrom", "urlto", "searchto", "oid", "org"), JSON))
)
def test_any_value_in_any_field_makes_a_link_or_a_refusal(body: dict[str, Any]) -> None:
    for values in (body, {"urlfrom": FROM, "urlto": TO, **body}):
        try:
            link = RULES.read(values)
        except BadHit as error:
            assert error.reason.startswith("Bad ")
        else:
            assert target_host(link.urlto)
            assert link.key == link_key(link.host, link.path)


@given(TEXTS, TEXTS, TEXTS)
def test_what_is_made_is_found_under_the_address_that_was_sent(host: str, path: str, to: str) -> None:
    for urlfrom in (f"https://{host}/{path}", host):
        try:
            link = RULES.read({"urlfrom": urlfrom, "urlto": f"https://a.example/{to}"})
        except BadHit:
            continue
        address = urlfrom if "://" in urlfrom else f"https://{urlfrom.strip().removeprefix('//')}"
        assert address_key(address.strip().lower()) == link.key
        assert link.host.isascii()
        for row in rows_of(link_row(link, OID, "t", "t"), history_row(link, OID, "t")):
            assert loads(row.line, 5)


@given(st.text(max_size=300))
def test_a_host_in_ascii_stays_as_it_is(text: str) -> None:
    host = ascii_host(text)
    assert host.isascii() or host == ""
    address = with_ascii_host(f"https://{text}/")
    assert address == "" or address.startswith("https://")
    if host and "xn--" in host:
        assert ascii_host(host) == host
