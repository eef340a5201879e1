import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.steps import coerce, ids
from tracker.steps.hashes import agent_hash, h, host_hash, iphash, private_hash, sha
from tracker.steps.ja4h import ja4h
from tracker.steps.known_hosts import KnownHosts
from tracker.steps.timezones import country_of
from tracker.steps.urls import is_own_route, shortener


@pytest.mark.parametrize(
    ("host", "hashed"), [("localhost", "d4md6"), ("localhost:8443", "ixzovd"), ("example.com", "imdezq")]
)
def test_host_hashes_are_the_original_s(host: str, hashed: str) -> None:
    assert h(host) == host_hash(host) == hashed


def test_address_hashes_are_the_original_s() -> None:
    assert iphash("8.8.8.8") == "b4c84prdbt401t5oxss1cy8xcx"
    assert iphash("127.0.0.1") == "2eauxqsti0h26dc3qe1mfglks"


def test_private_hashes_are_the_original_s() -> None:
    assert sha("password") == "W6ph5Mm5Pz8GgiULbPgzG37mj9g="
    assert private_hash("", " Test@Example.com ") == "VnFZ1iL_u1CxGw79MHvjWGJKJu4="
    assert private_hash("salt", "a") == sha("salta")


def test_nothing_has_no_hash() -> None:
    assert host_hash("") == agent_hash("") == iphash("") == private_hash("salt", "  ") == ""


UUID_FORMS = (
    "6f1c2a34-0b5d-4e6f-8a90-1b2c3d4e5f60",
    "6F1C2A34-0B5D-4E6F-8A90-1B2C3D4E5F60",
    "6f1c2a340b5d4e6f8a901b2c3d4e5f60",
    "urn:uuid:6f1c2a34-0b5d-4e6f-8a90-1b2c3d4e5f60",
    "{6F1c2a34-0b5d-4e6f-8a90-1b2c3d4e5f60}",
    "  6f1c2a34-0b5d-4e6f-8a90-1b2c3d4e5f60 ",
)


@pytest.mark.parametrize("form", UUID_FORMS)
def test_every_form_of_a_uuid_becomes_one(form: str) -> None:
    assert ids.parse(form) == UUID_FORMS[0]


@given(st.text(max_size=50))
def test_any_other_text_is_no_uuid_and_names_one(text: str) -> None:
    assert ids.parse(text) is None
    assert uuid.UUID(ids.named(text)).version == 5


@pytest.mark.parametrize("text", ["user-123", "Grüße", "x" * 1000])
def test_a_text_s_id_can_be_computed_by_anyone(text: str) -> None:
    assert ids.named(text) == str(uuid.uuid5(uuid.UUID(ids.NAMESPACE), text))


def test_new_ids_are_ordered_by_time() -> None:
    made = [ids.new_id() for _ in range(50)]
    assert made == sorted(made)
    assert uuid.UUID(made[0]).version == 7


@pytest.mark.parametrize(
    ("zone", "country"),
    [
        ("america/los_angeles", "US"),
        ("europe/amsterdam", "NL"),
        ("europe/zurich", "CH"),
        ("america/port-au-prince", "HT"),
        ("asia/calcutta", "IN"),
        ("us/pacific", "US"),
        ("europe/kiev", "UA"),
        ("gb", "GB"),
        ("iceland", "IS"),
        ("pacific/truk", "FM"),
        ("africa/timbuktu", "ML"),
        ("utc", ""),
        ("etc/gmt+5", ""),
        ("est", ""),
        ("mars/olympus", ""),
        ("", ""),
    ],
)
def test_a_zone_tells_its_country(zone: str, country: str) -> None:
    assert country_of(zone) == country


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("https://Example.com/Page?q=1#x", "//example.com/page"),
        (" http://a.b/ ", "//a.b/"),
        ("app:https://a.b/c", "//a.b/c"),
        ("/only/path?x", "/only/path"),
        ("", ""),
    ],
)
def test_addresses_lose_scheme_and_query(sent: str, kept: str) -> None:
    assert shortener(None, 0)(sent) == kept


def test_a_url_filter_keeps_the_chosen_group_or_the_last() -> None:
    pattern = re.compile(r"^https?://(api|www)\.example\.com(/[^?]*)(.*)")
    assert shortener(pattern, 2)("https://www.example.com/A/b?c") == "/a/b"
    assert shortener(pattern, 0)("https://www.example.com/A/b?c") == "?c"
    assert shortener(pattern, 2)("https://other.org/a?c") == "//other.org/a"


def test_tracking_routes_are_no_pages() -> None:
    assert is_own_route("/tr/v1/tr/ename/x?y=1")
    assert is_own_route("/tr/v2/ws")
    assert not is_own_route("/short")


@pytest.mark.parametrize(
    ("value", "number"), [(5, 5), (5.9, 5), ("12", 12), (" -3 ", -3), ("1e3", 1000), ("", 0)]
)
def test_numbers_and_numeric_text_are_whole_numbers(value: Any, number: Any) -> None:
    assert coerce.integer(value, -(2**31), 2**31 - 1) == number


@pytest.mark.parametrize(
    "value", [True, "x", "1_000", "\u0661", "nan", "1e999", [], {}, 2**31, "9" * 40, "9" * 400, 1e18]
)
def test_what_is_no_number_in_range_does_not_fit(value: Any) -> None:
    with pytest.raises(coerce.Misfit):
        coerce.integer(value, -(2**31), 2**31 - 1)


HEADERS = [("Host", "a.b"), ("user-agent", "x"), ("Accept-Language", "en-US,en;q=0.9"), ("accept", "*/*")]


def test_the_fingerprint_says_what_there_is_but_no_values() -> None:
    plain = ja4h("GET", False, HEADERS)
    assert plain.startswith("ge11nn03enus_")
    assert plain.endswith("_000000000000_000000000000")
    assert plain == ja4h("GET", False, [*HEADERS[:1], ("User-Agent", "other"), *HEADERS[2:]])


def test_the_fingerprint_depends_on_the_order_of_headers_but_not_of_cookies() -> None:
    assert ja4h("GET", False, HEADERS) != ja4h("GET", False, HEADERS[::-1])
    one = ja4h("POST", True, [*HEADERS, ("Cookie", "b=1; a=2"), ("Referer", "x")])
    assert one == ja4h("POST", True, [*HEADERS, ("cookie", "a=5; b=6"), ("referer", "y")])
    assert one.startswith("po20cr03enus_")
    assert not one.endswith("000000000000")


@pytest.mark.parametrize(
    ("method", "headers"), [("G", []), ("", []), ("PATCH", [("X", "\ud800"), ("Cookie", "\udcff=1")])]
)
def test_the_fingerprint_is_made_of_anything(method: str, headers: list[tuple[str, str]]) -> None:
    assert re.fullmatch(r".{12}_\w{12}_\w{12}_\w{12}", ja4h(method, False, headers))


def test_a_host_is_unknown_until_stored_and_again_after_an_hour() -> None:
    hosts = KnownHosts()
    assert hosts.unknown("a.b", 5000.0) == "a.b"
    hosts.remember("a.b", 5000.0)
    assert hosts.unknown("a.b", 5001.0) == ""
    assert hosts.unknown("a.b", 9000.0) == "a.b"


def test_only_so_many_hosts_are_remembered() -> None:
    hosts = KnownHosts()
    for number in range(5000):
        hosts.remember(f"h{number}", 5000.0)
    assert hosts.unknown("h0", 5000.0) == "h0"
    assert hosts.unknown("h4999", 5000.0) == ""
