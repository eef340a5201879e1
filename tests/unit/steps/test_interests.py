"""The interests of a visitor that an event names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.build import PIPELINE, VID, check, columns, documents, hit, tables
from tracker.pipeline import Prepared

OID = "55555555-6666-4777-8888-999999999999"
EID = "33333333-4444-4555-8666-777777777777"
TIME = "2026-11-18 11:06:40.250Z"
TAGS = ("audience", "audience_tags", "content", "content_tags", "tags")


def prepared(sent: dict[str, Any]) -> Prepared:
    found = PIPELINE.prepare(hit({"vid": VID, "oid": OID, "eid": EID, "ename": "x", **sent}))
    for row in found.entry.rows:
        check(row)
    return found


def interests(sent: dict[str, Any]) -> dict[str, Any]:
    return columns(prepared(sent).entry, "visitor_interests")


def test_tags_are_the_interests_of_the_visitor() -> None:
    sent = {
        "uid": OID,
        "org": "Acme",
        "audience_tags": [" Runner ", "parent", "runner"],
        "content_tags": "Shoes, ,parent",
        "campaign": "Autumn.26",
        "lat": 47.5,
        "lon": 8.5,
        "country": "ch",
        "city": "Zürich",
    }
    assert interests(sent) == {
        "eid": EID,
        "vid": VID,
        "uid": OID,
        "oid": OID,
        "org": "acme",
        "audience_tags": ["runner", "parent"],
        "audience_counts": {"runner": 1, "parent": 1},
        "content_tags": ["shoes", "parent"],
        "content_counts": {"shoes": 1, "parent": 1},
        "interests": ["runner", "parent", "shoes"],
        "interest_counts": {"runner": 1, "parent": 1, "shoes": 1},
        "campaign_sources": {
            "autumn.26": {"audience": ["runner", "parent"], "content": ["shoes", "parent"]},
        },
        "total_interactions": 1,
        "unique_campaigns": 1,
        "first_seen": TIME,
        "last_updated": TIME,
        "updated_at": TIME,
        "last_iphash": "b4c84prdbt401t5oxss1cy8xcx",
        "last_lat": 47.5,
        "last_lon": 8.5,
        "last_country": "CH",
        "last_city": "zürich",
        "location_updated_at": TIME,
    }


def test_without_a_place_and_a_campaign_none_is_told() -> None:
    row = interests({"tags": ["a"]})
    assert not {"location_updated_at", "campaign_sources", "unique_campaigns"} & row.keys()


@pytest.mark.parametrize(
    ("sent", "audience", "content"),
    [
        ({"audience": "a", "audience_tags": "b", "tags": "t"}, ["a"], None),
        ({"audience": "", "audience_tags": '["b"]'}, ["b"], None),
        ({"content": "c", "content_tags": "d"}, None, ["c"]),
        ({"content": [], "content_tags": ["d"]}, None, ["d"]),
        ({"tags": "t, u"}, None, ["t", "u"]),
        ({"content": "c", "tags": "t"}, None, ["c"]),
    ],
    ids=["audience", "audience_tags", "content", "content_tags", "tags", "not tags"],
)
def test_the_first_key_that_has_tags_is_taken(sent: dict[str, Any], audience: Any, content: Any) -> None:
    row = interests(sent)
    assert (row.get("audience_tags"), row.get("content_tags")) == (audience, content)


@pytest.mark.parametrize(
    "sent",
    [
        {"tags": ""},
        {"tags": " , "},
        {"tags": []},
        {"tags": "a", "vid": "user-123"},
        {"tags": "a", "vid": None},
        {"tags": "a", "oid": "org-id"},
        {"tags": "a", "oid": None},
        {},
    ],
    ids=["blank", "commas", "none", "vid text", "no vid", "oid text", "no oid", "nothing"],
)
def test_nobody_s_interests_and_no_interests_are_no_row(sent: dict[str, Any]) -> None:
    assert "visitor_interests" not in tables(prepared(sent).entry)


def test_a_visitor_that_was_made_for_this_event_has_no_interests() -> None:
    event = PIPELINE.prepare(hit({"vid": VID, "oid": OID, "tags": "a"}), is_new=True)
    assert "visitor_interests" not in tables(event.entry)


def test_what_is_no_tag_is_counted_and_the_rest_kept() -> None:
    found = prepared({"tags": ["a", 5, {"b": 1}]})
    assert columns(found.entry, "visitor_interests")["content_tags"] == ["a"]
    assert found.faults == ("column_type:tags",)
    assert prepared({"content": {"a": 1}}).faults == ("column_type:content",)


def test_of_very_many_tags_the_first_hundred_count() -> None:
    found = prepared({"tags": ",".join(f"t{number}" for number in range(101))})
    row = columns(found.entry, "visitor_interests")
    assert len(row["content_tags"]) == len(row["interest_counts"]) == 100
    assert row["content_tags"][-1] == "t99"
    assert found.faults == ("too_many:tags",)
    assert prepared({"tags": [f"t{number}" for number in range(100)]}).faults == ()


def test_the_same_event_again_is_the_same_row() -> None:
    assert interests({"tags": "a"}) == interests({"tags": "a"})


@given(st.dictionaries(st.sampled_from((*TAGS, "campaign", "lat", "lon", "zip")), documents, max_size=6))
def test_whatever_the_tags_the_row_fits_the_catalogue(sent: dict[str, Any]) -> None:
    found = prepared(sent)
    for name in set(tables(found.entry)) & {"visitor_interests"}:
        assert columns(found.entry, name)["interests"]
