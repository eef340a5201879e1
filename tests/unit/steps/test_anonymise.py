"""What is left of an event that must name nobody."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.build import VID, documents, envelope
from tracker.steps.anonymise import anonymise, day_visitor, family_of
from tracker.steps.hashes import agent_hash
from tracker.steps.impersonal import impersonal, is_personal, without_ids
from tracker.steps.own_address import names_sender, without_address
from tracker.steps.rows import encode

TODAY, TOMORROW = b"t" * 32, b"m" * 32
CHROME = "mozilla/5.0 (x11; linux x86_64) applewebkit/537.36 (khtml, like gecko) chrome/120.0 safari/537.36"


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (CHROME, "chrome"),
        (f"{CHROME} edg/120.0", "edge"),
        (f"{CHROME} opr/106.0", "opera"),
        (CHROME.replace("chrome/", "samsungbrowser/23.0 chrome/"), "samsung internet"),
        ("mozilla/5.0 (windows nt 10.0; rv:120.0) gecko/20100101 firefox/120.0", "firefox"),
        ("mozilla/5.0 (iphone) applewebkit/605 (khtml, like gecko) crios/120.0 mobile safari/604", "chrome"),
        ("mozilla/5.0 (macintosh) applewebkit/605.1.15 version/17.1 safari/605.1.15", "safari"),
        ("mozilla/5.0 (windows nt 6.1; trident/7.0; rv:11.0) like gecko", "internet explorer"),
        ("mozilla/5.0 (compatible; googlebot/2.1; +http://www.google.com/bot.html) chrome/120", "bot"),
        ("curl/8.5.0", "other"),
        ("", ""),
    ],
)
def test_a_user_agent_is_reduced_to_its_family(agent: str, family: str) -> None:
    assert family_of(agent) == family


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        ("//example.com/a/b", "//example.com/a/b"),
        ("//example.com", "//example.com"),
        ("//example.com/news/2026/11/two-words", "//example.com/news/2026/11/two-words"),
        ("//example.com/users/123456/orders", "//example.com/users/*/orders"),
        ("//example.com/u/a@example.org/x", "//example.com/u/*/x"),
        ("//example.com/u/a%40example.org", "//example.com/u/*"),
        (f"//example.com/{VID}/x", "//example.com/*/x"),
        ("//example.com/t/dGhpcyBpcyBhIHRva2VuMTIzNA", "//example.com/t/*"),
        ("//user:secret@example.com/a", "//example.com/a"),
        ("//example.com/a;jsessionid=1", "//example.com/a"),
        ("//example.com/a#token", "//example.com/a"),
        ("/a/203.0.113.7/b?c=d", "/a/*/b"),
        ("//example.com/" + "a" * 200, "//example.com/*"),
        ("", ""),
    ],
)
def test_a_page_has_no_part_that_may_be_someone_s_id(page: str, kept: str) -> None:
    assert without_ids(page) == kept


@pytest.mark.parametrize(
    "key",
    [
        *("user_id", "userId", "userID", "user_ids", "UserIDs", "customer-id", "order_id", "uuid", "EMAIL"),
        *("e-mail", "contactEmail", "phone", "Tel", "first_name", "lastName", "ip", "IPAddress", "client_ip"),
        *("token", "access_token", "jwt", "password", "address", "lat", "Latitude", "latlon", "zip", "name"),
        *("user", "uhash", "emailHash", "gclid", "fbclid", "_ga", "session", "vid", "device_id", "timezone"),
    ],
)
def test_keys_that_name_a_person_or_an_id_are_known_however_they_are_written(key: str) -> None:
    assert is_personal(key)


@pytest.mark.parametrize(
    "key",
    ["product", "productName", "price", "paid", "valid", "oid", "tid", "variant", "color", "zipper", ""],
)
def test_other_keys_stay(key: str) -> None:
    assert not is_personal(key)


@pytest.mark.parametrize(
    "value",
    [
        *("a@example.org", "mail a@example.org now", VID, VID.upper(), "203.0.113.7", "seen at 203.0.113.7."),
        *("2001:db8:1:2:3:4:5:6", "2001:db8::7", "+49 151 2345678", "015123456789", "GA1.2.123456789.17"),
        *("eyJhbGciOiJIUzI1NiJ9eyJzdWIi", "x" * 300),
        10**12,
        {"email": 1},
        {"deep": [{"er": "a@example.org"}]},
        [VID],
        [],
        {},
    ],
)
def test_values_that_look_like_a_person_s_go_at_any_depth(value: Any) -> None:
    assert impersonal({"kept": 1, "x": value}) == {"kept": 1}


@pytest.mark.parametrize(
    "value", ["red", "two words", "2026-11-23", "1.2.3", 12, 1.5, True, ["a", 1], {"a": {"b": [1]}}, "v1.10"]
)
def test_values_that_say_nothing_of_a_person_stay_as_they_are(value: Any) -> None:
    assert impersonal({"x": value}) == {"x": value}


@given(documents)
def test_what_is_left_of_any_document_is_impersonal_and_what_was_sent_is_not_changed(document: Any) -> None:
    before = repr(document)
    kept = impersonal(document)
    assert impersonal(kept) == kept
    assert repr(document) == before


def test_columns_that_identify_are_gone_and_the_ground_is_there() -> None:
    row: dict[str, Any] = {
        "eid": VID,
        **dict.fromkeys(("uid", "auth_id", "invoice_id", "device_id", "rid", "ref"), VID),
        **dict.fromkeys(("ip", "iphash", "ja4h", "gaid", "idfa", "msid", "fbid", "mcid", "rcode"), "x"),
        "lat": 1.5,
        "lon": 2.5,
        "zip": "8000",
        "city": "zürich",
        "tz": "europe/zurich",
        "is_new": True,
        "country": "CH",
        "region": "zürich",
        "browser": CHROME,
        "bhash": "b",
        "ename": "a",
        "cflags": 1,
        "source": "a@example.org",
        "url": "//x.org/123456",
        "params": {"user": 1},
        "targets": {"a": "b"},
    }
    anonymise(row, "gpc")
    assert row == {
        "eid": VID,
        "country": "CH",
        "region": "zürich",
        "browser": "chrome",
        "bhash": agent_hash("chrome"),
        "ename": "a",
        "cflags": 1,
        "url": "//x.org/*",
        "targets": {"a": "b"},
        "ground": "gpc",
    }


def test_a_visitor_is_one_for_a_day_and_another_one_the_next() -> None:
    here = day_visitor(TODAY, envelope(), VID)
    assert here == day_visitor(TODAY, envelope(language="fr", base={"vid": "x"}), None)
    assert here is not None
    for other in (
        day_visitor(TOMORROW, envelope(), VID),
        day_visitor(TODAY, envelope(ip="8.8.4.4"), VID),
        day_visitor(TODAY, envelope(user_agent="other"), VID),
        day_visitor(TODAY, envelope(host="other.org"), VID),
    ):
        assert other is not None
        assert not {here.vid, here.sid} & {other.vid, other.sid}
    assert {uuid.UUID(one).version for one in here} == {8}
    assert {uuid.UUID(one).variant for one in here} == {uuid.RFC_4122}
    assert here.vid != here.sid


def test_what_a_server_reports_is_told_apart_by_the_visitor_it_names() -> None:
    server = envelope(route="str", is_client=False, user_agent="")
    here = day_visitor(TODAY, server, VID)
    assert here is not None
    assert here == day_visitor(
        TODAY, envelope(route="str", is_client=False, user_agent="", ip="1.1.1.1"), VID
    )
    assert here != day_visitor(TODAY, server, VID.replace("1", "2"))
    assert here != day_visitor(TOMORROW, server, VID)
    assert VID not in here
    assert day_visitor(TODAY, server, None) is None


def test_the_sender_s_own_address_is_found_in_rows_and_nothing_like_it() -> None:
    row = encode("events", {"params": {"note": "from 203.0.113.7!"}})
    assert names_sender((row,), envelope(ip="203.0.113.7"))
    assert not names_sender((row,), envelope(ip="203.0.113.9"))
    assert not names_sender((row,), envelope(ip=""))
    loopback = encode("events", {"url": "//127.0.0.1/"})
    assert not names_sender((loopback,), envelope(ip="127.0.0.1"))
    assert not names_sender((row,), envelope(ip="203.0.113.7", host="203.0.113.7"))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("from 203.0.113.7!", "from !"),
        ("1203.0.113.7", "1203.0.113.7"),
        ("203.0.113.77", "203.0.113.77"),
        ("203.0.113.7.5", "203.0.113.7.5"),
        ("203.0.113.7:80, ::ffff:203.0.113.7", ":80, ::ffff:"),
        ({"203.0.113.7": ["203.0.113.7", 1]}, {"": ["", 1]}),
    ],
)
def test_an_address_goes_where_it_stands_alone(sent: Any, kept: Any) -> None:
    assert without_address(sent, "203.0.113.7") == kept


def test_a_long_address_is_removed_whole_and_no_other() -> None:
    assert without_address("at 2001:db8::7, 2001:db8::77", "2001:db8::7") == "at , 2001:db8::77"


@given(st.text(max_size=400))
def test_any_page_can_be_freed_of_ids_and_then_stays(page: str) -> None:
    once = without_ids(page)
    assert without_ids(once) == once
