from typing import Any

from hypothesis import given, settings

from tests.unit.steps.build import SID, VID, envelope, objects
from tracker.steps.keys import KNOWN
from tracker.steps.merge import (
    CookieNames,
    canonical,
    cookie_values,
    gather,
    header_values,
    merge,
    message_over,
    path_values,
    query_values,
)


@settings(max_examples=30)
@given(objects, objects, objects)
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c)) == merge(a, b, c)


@settings(max_examples=30)
@given(objects, objects)
def test_later_wins(a: dict[str, Any], b: dict[str, Any]) -> None:
    last = {
        canonical(key): value for key, value in b.items() if value is not None or canonical(key) not in KNOWN
    }
    merged = merge(a, b)
    assert {key: merged[key] for key in last} == last


@settings(max_examples=30)
@given(objects)
def test_unknown_keys_keep_case_and_type(a: dict[str, Any]) -> None:
    merged = merge(a)
    for key, value in a.items():
        if key.lower() not in KNOWN:
            assert merged[key] is value


@settings(max_examples=30)
@given(objects)
def test_merging_twice_changes_nothing_and_its_input_never(a: dict[str, Any]) -> None:
    before = dict(a)
    assert merge(merge(a)) == merge(a)
    assert a == before


def test_known_keys_are_recognised_in_any_case() -> None:
    assert [canonical(key) for key in ("ENAME", "Did", "eMail", "W", "Unknown")] == [
        "ename",
        "did",
        "email",
        "w",
        "Unknown",
    ]


def test_a_null_under_a_known_key_says_nothing_and_under_another_is_kept() -> None:
    assert merge({"vid": VID}, {"VID": None, "other": None}) == {"vid": VID, "other": None}


def test_the_header_is_an_object_or_nothing() -> None:
    assert header_values('{"UID": 5, "Plan": "Pro"}') == {"uid": 5, "Plan": "Pro"}
    for bad in (None, "", "[1]", "{", '"x"', '{"a": NaN}', "[" * 500):
        assert header_values(bad) == {}


def test_cookies_are_read_by_their_names_and_the_token_never() -> None:
    sent = {
        "v": VID,
        "sid": SID,
        "CookieConsent": "1024",
        "ehash": "AbC=",
        "ref": "",
        "xid": "x",
        "jwt": "ey.a.b",
    }
    assert cookie_values(sent, CookieNames(vid="v")) == {
        "vid": VID,
        "sid": SID,
        "ehash": "AbC=",
        "xid": "x",
        "cflags": 1024,
    }


def test_a_consent_cookie_that_is_no_number_says_nothing() -> None:
    for bad in ("", "yes", "1.5", "\u0661", "{stamp:'x'}", "9" * 40):
        assert cookie_values({"CookieConsent": bad}, CookieNames()) == {}


def test_path_pairs_start_behind_the_route() -> None:
    assert path_values("/tr/v1/tr/vid/USER_ID/ename/page_view/etyp/view") == {
        "vid": "USER_ID",
        "ename": "page_view",
        "etyp": "view",
    }
    assert path_values("/tr/v1/img/ENAME/Seen/MyKey/MyValue/odd") == {"ename": "Seen", "MyKey": "MyValue"}
    assert path_values("/tr/v1/tr/") == path_values("/tr/v1/tr") == path_values("/") == path_values("") == {}


def test_a_short_link_has_its_pairs_from_the_second_segment_on() -> None:
    assert path_values("/a/b/c") == {"b": "c"}


def test_in_a_query_the_first_value_wins_and_utm_is_left_out_of_known_keys() -> None:
    pairs = [
        ("utm_source", "News"),
        ("source", "late"),
        ("UTM_Medium", "mail"),
        ("utm_id", "7"),
        ("GclId", "AbC"),
    ]
    assert query_values(pairs, "igqp") == {"source": "News", "medium": "mail", "utm_id": "7", "GclId": "AbC"}


def test_a_query_with_the_ignore_key_says_nothing() -> None:
    assert query_values([("ename", "x"), ("igqp", "")], "igqp") == {}
    assert query_values([("ename", "x"), ("", "")], "") == {"ename": "x", "": ""}


def test_a_message_is_merged_one_level_deep() -> None:
    base = {"params": {"a": 1, "deep": {"x": 1}}, "uid": "u"}
    message = {"PARAMS": {"b": 2, "deep": {"y": 2}}, "uid": None}
    assert message_over(base, message) == {"params": {"a": 1, "b": 2, "deep": {"y": 2}}, "uid": "u"}
    assert base["params"] == {"a": 1, "deep": {"x": 1}}


def test_on_a_socket_the_upgrade_s_query_wins_over_the_message_and_the_message_over_the_base() -> None:
    around = envelope(route="ws", base={"app": "base", "rel": "base", "os": "base"}, query={"app": "query"})
    values = gather(around, {"app": "message", "rel": "message"})
    assert values == {"app": "query", "rel": "message", "os": "base"}


def test_content_without_a_name_is_the_name() -> None:
    assert gather(envelope(), {"content": "Ad"}) == {"ename": "Ad"}
    assert gather(envelope(), {"content": "Ad", "ename": 5}) == {"ename": "Ad"}
    assert gather(envelope(), {"content": "Ad", "ename": "n"}) == {"content": "Ad", "ename": "n"}
    assert gather(envelope(), {"content": 5}) == {"content": 5}
