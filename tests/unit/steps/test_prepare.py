"""What becomes of a hit: the whole way from what was sent to encoded rows."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.unit.steps.build import (
    PIPELINE,
    VID,
    Nowhere,
    check,
    columns,
    documents,
    event,
    hit,
    keys,
    objects,
    tables,
)
from tracker.errors import BadHit
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.steps.hashes import h
from tracker.steps.ids import named
from tracker.steps.keys import HASHED


def test_the_readme_s_event_becomes_a_row() -> None:
    sent = {
        "vid": VID,
        "sid": "session-123",
        "ename": "page_view",
        "etyp": "view",
        "url": "https://example.com/page",
        "tz": "America/Los_Angeles",
        "device": "Desktop",
        "os": "macOS",
    }
    row = event(sent)
    assert row == row | {
        "vid": VID,
        "sid": named("session-123"),
        "ename": "page_view",
        "etyp": "view",
        "url": "//example.com/page",
        "tz": "america/los_angeles",
        "country": "US",
        "device": "desktop",
        "os": "macos",
        "params": {"sid": "session-123"},
        "is_client": True,
        "hhash": "imdezq",
        "iphash": "b4c84prdbt401t5oxss1cy8xcx",
        "created_at": "2026-11-18 11:06:40.250Z",
    }
    assert "is_new" not in row
    assert "ip" not in row


def test_the_readme_s_server_event_keeps_what_is_no_column() -> None:
    around = {"route": "str", "is_client": False, "user_agent": "", "language": ""}
    sent = {"vid": VID, "oid": "org-id", "ename": "server_event", "etyp": "conversion", "revenue": "99.99"}
    prepared = PIPELINE.prepare(hit(sent, **around))
    row = columns(prepared.entry)
    assert row["oid"] == named("org-id")
    assert row["params"] == {"oid": "org-id", "revenue": "99.99"}
    assert "is_client" not in row
    assert "browser" not in row
    assert tables(prepared.entry) == ["events"]


def test_the_readme_s_event_by_url_becomes_a_row() -> None:
    row = event({}, base={"vid": "USER_ID", "ename": "page_view", "etyp": "view"})
    assert (row["vid"], row["ename"], row["params"]) == (named("USER_ID"), "page_view", {"vid": "USER_ID"})


@given(objects, objects, st.sampled_from(("tr", "str", "ws")))
@settings(max_examples=80)
def test_any_object_becomes_rows_that_fit_the_catalogue(
    body: dict[str, Any], base: dict[str, Any], route: str
) -> None:
    prepared = PIPELINE.prepare(hit(body, base=base, route=route, is_client=route != "str"))
    for row in prepared.entry.rows:
        check(row)


@given(
    st.dictionaries(
        st.text(max_size=5) | keys, st.text(max_size=8) | st.sampled_from(("\ud800", "\udcff")), max_size=6
    )
)
def test_any_query_becomes_rows_even_with_bytes_that_are_no_text(query: dict[str, str]) -> None:
    for row in PIPELINE.prepare(hit({}, query=query, uri="/x\udcff", user_agent="\udcff")).entry.rows:
        check(row)


def _with_secret(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    word = st.sampled_from(HASHED).flatmap(
        lambda key: st.tuples(*(st.sampled_from((c, c.upper())) for c in key)).map("".join)
    )
    secret = st.just("secret.person@example.com") | st.just({"is": "secret.person@example.com"})
    pair = st.builds(
        lambda key, value, rest: {**rest, key: value}, word, secret, st.dictionaries(keys, inner, max_size=2)
    )
    nested = st.recursive(
        pair,
        lambda deeper: (
            st.lists(deeper, max_size=2) | st.dictionaries(st.text(max_size=3), deeper, max_size=2)
        ),
    )
    as_text = nested.filter(lambda value: isinstance(value, dict | list)).map(json.dumps)
    return (
        pair
        | st.builds(
            lambda key, value, rest: {**rest, key: value},
            st.sampled_from(("params", "PARAMS", "targets", "Other", "ename", "vid")),
            nested,
            st.dictionaries(keys, inner, max_size=2),
        )
        | st.builds(lambda key, value: {key: value}, st.sampled_from(("params", "targets")), as_text)
    )


@given(_with_secret(documents), _with_secret(documents), st.sampled_from(("tr", "ws")))
@settings(max_examples=80)
def test_no_row_ever_holds_what_a_private_key_held(
    body: dict[str, Any], base: dict[str, Any], route: str
) -> None:
    entry = PIPELINE.prepare(hit(body, base=base, route=route)).entry
    assert not any(b"secret.person" in row.line.lower() for row in entry.rows)


def test_params_keep_keys_values_case_and_types() -> None:
    params = {
        "A.b": 1,
        "Nested": {"List": [1, "x", None, True, 1.5]},
        "when": "2026-01-01",
        "n": "946684801",
        "e": {},
    }
    row = event({"params": params, "Extra": {"Deep": "VALUE"}, "gclid": "AbC", "none": None})
    assert row["params"] == {**params, "Extra": {"Deep": "VALUE"}, "gclid": "AbC", "none": None}


def test_params_as_text_are_opened_and_the_top_level_wins() -> None:
    row = event({"params": '{"a": 1, "b": 2}', "b": 3})
    assert row["params"] == {"a": 1, "b": 3}


def test_from_params_only_columns_and_identifying_keys_are_removed_and_only_at_the_top() -> None:
    inner = {"url": "x", "country": "CH", "IP": "1.2.3.4", "Auth": "token", "oid": "o", "deep": {"url": "y"}}
    assert event({"params": inner})["params"] == {"oid": "o", "deep": {"url": "y"}}


@pytest.mark.parametrize("params", [5, [1, 2], "text", "[1, 2", True])
def test_params_that_are_no_object_are_kept_under_their_name(params: Any) -> None:
    prepared = PIPELINE.prepare(hit({"params": params}))
    assert columns(prepared.entry)["params"] == {"params": params}
    assert prepared.faults == ("column_type:params",)


def test_empty_params_are_left_out() -> None:
    assert "params" not in event({"params": {}})
    assert "params" not in event({"params": {"url": "x"}})


def test_json_text_that_is_too_deep_is_refused() -> None:
    with pytest.raises(BadHit, match="too deep"):
        PIPELINE.prepare(hit({"params": "[" * 65 + "]" * 65}))


def test_a_value_of_the_wrong_type_is_kept_in_params_and_counted() -> None:
    sent = {
        "ename": {"a": 1},
        "duration": "soon",
        "ver": 2**31,
        "score": [],
        "w": True,
        "vid": {"x": 1},
        "targets": "no",
    }
    prepared = PIPELINE.prepare(hit(sent))
    row = columns(prepared.entry)
    assert row["params"] == sent
    assert set(prepared.faults) == {
        "column_type:ename",
        "column_type:duration",
        "column_type:ver",
        "column_type:score",
        "column_type:vp_w",
        "column_type:vid",
        "column_type:targets",
    }
    assert row["is_new"] is True


def test_faults_are_counted_by_reason() -> None:
    registry = CollectorRegistry()
    pipeline = Pipeline(Nowhere(), PipelineSettings(), Metrics(registry, "test"))
    pipeline.prepare(hit({"ver": "x"}))
    assert registry.get_sample_value("tracker_field_faults_total", {"reason": "column_type:ver"}) == 1


def test_numbers_and_bools_in_text_columns_become_their_json_text() -> None:
    row = event({"ename": 5, "etyp": True, "app": 1.5})
    assert (row["ename"], row["etyp"], row["app"]) == ("5", "true", "1.5")


def test_dimensions_are_trimmed_and_lower_case_and_country_upper() -> None:
    row = event({"ENAME": " Page View ", "city": "Zürich", "country": " ch ", "tz": "Europe/Paris"})
    assert (row["ename"], row["city"], row["country"]) == ("page view", "zürich", "CH")


def test_numbers_come_as_numbers_or_text() -> None:
    row = event({"duration": "1500", "ver": 2.0, "score": "1.5", "cflags": "1024", "w": "800", "h": 600.7})
    kept = {key: row[key] for key in ("duration", "ver", "score", "cflags", "vp_w", "vp_h")}
    assert kept == {"duration": 1500, "ver": 2, "score": 1.5, "cflags": 1024, "vp_w": 800, "vp_h": 600}


def test_latitude_and_longitude_come_together_or_not_at_all() -> None:
    assert event({"lat": "47.5", "lon": 8})["lat"] == 47.5
    alone = PIPELINE.prepare(hit({"lat": 47.5}))
    assert columns(alone.entry)["params"] == {"lat": 47.5}
    assert alone.faults == ("column_type:lat",)
    broken = event({"lat": 47.5, "lon": "east"})
    assert broken["params"] == {"lat": 47.5, "lon": "east"}
    assert not {"lat", "lon"} & broken.keys()
    assert event({"lat": 0, "lon": 8.5}).get("lat") is None
    assert PIPELINE.prepare(hit({"lat": "", "lon": ""})).faults == ()


def test_targets_are_kept_as_sent_and_opened_when_text() -> None:
    assert event({"targets": {"A": ["x"]}})["targets"] == {"A": ["x"]}
    assert event({"targets": '{"A": [1]}'})["targets"] == {"A": [1]}


def test_targets_that_are_an_array_stay_in_params_because_no_column_takes_one_in_every_store() -> None:
    prepared = PIPELINE.prepare(hit({"targets": [{"A": 1}]}))
    row = columns(prepared.entry)
    assert "targets" not in row
    assert row["params"] == {"targets": [{"A": 1}]}
    assert prepared.faults == ("column_type:targets",)


def test_browser_and_culture_are_the_request_s_unless_sent() -> None:
    row = event({})
    assert (row["browser"], row["culture"], row["bhash"]) == (
        "mozilla/5.0 test",
        "de-ch",
        h("mozilla/5.0 test"),
    )
    row = event({"browser": "Mine", "culture": "FR", "bhash": "AbC"})
    assert (row["browser"], row["culture"], row["bhash"]) == ("mine", "fr", "AbC")


def test_a_page_is_only_taken_from_the_request_when_that_is_no_tracking_route() -> None:
    assert "url" not in event({})
    assert event({}, uri="/Short?x=1")["url"] == "/short"


def test_nul_is_removed_from_columns_and_kept_in_params() -> None:
    row = event({"ename": "a\x00b", "other": "a\x00b"})
    assert (row["ename"], row["params"]) == ("ab", {"other": "a\x00b"})
