"""Agreements: the current row and the ledger's, what is refused, and that nothing private gets in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.steps.build import NOW, SID, VID, check, columns, documents, envelope, hit, make, objects
from tracker.errors import BadHit
from tracker.events import Hit, Place
from tracker.pipeline import Pipeline, Prepared
from tracker.steps.ids import named
from tracker.tables.people import AGREED, AGREEMENTS

PIPELINE = make()
AROUND = {"hhash": "imdezq", "browser": "mozilla/5.0 test", "culture": "de-ch"}


def agreed(body: dict[str, Any], key: str = "", pipeline: Pipeline = PIPELINE, **around: Any) -> Prepared:
    prepared, current = pipeline.prepare_agreement(hit(body, route="ppi", **around), key)
    for row in prepared.entry.rows:
        check(row)
    assert current == columns(prepared.entry, "agreements")
    return prepared


def current(body: dict[str, Any], **around: Any) -> dict[str, Any]:
    return columns(agreed(body, **around).entry, "agreements")


def test_the_readmes_agreement_becomes_a_current_row_and_a_line_of_the_ledger() -> None:
    body = {
        "vid": "user-id",
        "cflags": 1024,
        "tz": "America/Los_Angeles",
        "lat": 37.7749,
        "lon": -122.4194,
    }
    prepared = agreed(body)
    row = columns(prepared.entry, "agreements")
    assert row.items() >= AROUND.items()
    assert {name: row[name] for name in row if name not in (*AROUND, "iphash", "bhash")} == {
        "vid": named("user-id"),
        "cflags": 1024,
        "tz": "America/Los_Angeles",
        "country": "US",
        "lat": 37.7749,
        "lon": -122.4194,
        "created_at": "2026-11-18 11:06:40.250Z",
        "updated_at": "2026-11-18 11:06:40.250Z",
    }
    assert columns(prepared.entry, "agreed") == {"id": prepared.identity.eid, **row}


def test_every_column_that_a_client_may_fill_is_filled_and_texts_keep_their_case() -> None:
    said = {
        name: f"{name.upper()} x" for name in ("app", "rel", "gaid", "idfa", "msid", "fbid", "rcode", "aff")
    }
    said |= {
        name: f"{name.upper()} x" for name in ("source", "medium", "campaign", "term", "device", "os", "zip")
    }
    said |= {"culture": "Fr-CA", "org": "Org"}
    identified = dict.fromkeys(("sid", "uid", "avid", "ref", "owner", "oid"), SID)
    row = current({**said, **identified, "vid": VID, "w": "800", "h": 600, "compliances": {"gdpr": ["x"]}})
    assert row.items() >= {**said, **identified, "vp_w": 800, "vp_h": 600}.items()
    assert row["compliances"] == {"gdpr": ["x"]}


@pytest.mark.parametrize(
    ("said", "country", "region"),
    [
        ({}, "CH", "zürich"),
        ({"tz": "Europe/Paris"}, "FR", "zürich"),
        ({"tz": "europe/paris", "country": "de", "region": "BE"}, "DE", "be"),
    ],
)
def test_what_was_said_goes_before_the_zone_and_that_before_the_address(
    said: dict[str, Any], country: str, region: str
) -> None:
    pipeline = make(geo=lambda ip: Place(country="CH", region="Zürich", lat=47.4, lon=8.5))
    row = columns(agreed({"vid": VID, **said}, pipeline=pipeline).entry, "agreements")
    assert (row["country"], row["region"], row["lat"], row["lon"]) == (country, region, 47.4, 8.5)


def test_a_cookie_names_the_visitor_and_its_consent_unless_the_body_does() -> None:
    base = {"vid": VID, "cflags": 3}
    assert current({}, base=base).items() >= {"vid": VID, "cflags": 3}.items()
    assert current({"vid": SID, "cflags": 0}, base=base).items() >= {"vid": SID}.items()
    assert "cflags" not in current({"cflags": 0}, base=base)


@pytest.mark.parametrize("body", [{}, {"vid": ""}, {"vid": " "}, {"vid": None}, {"vid": "0" * 32}])
def test_without_a_visitor_there_is_no_agreement(body: dict[str, Any]) -> None:
    with pytest.raises(BadHit, match=r"^User not provided$"):
        agreed(body)


@pytest.mark.parametrize(
    "bad",
    [
        {"ref": {}},
        {"oid": True},
        {"cflags": 1.5},
        {"cflags": "1.5"},
        {"cflags": "many"},
        {"cflags": 2**63},
        {"cflags": True},
        {"app": []},
        {"country": {}},
        {"compliances": ["gdpr"]},
        {"compliances": "gdpr"},
        {"w": -1},
        {"vp_h": 10**9},
        {"lat": 90.5, "lon": 1},
        {"lon": -181, "lat": 1},
        {"lat": "north", "lon": 1},
        {"id": {}},
    ],
    ids=str,
)
def test_what_a_field_cannot_hold_is_refused_by_its_name(bad: dict[str, Any]) -> None:
    with pytest.raises(BadHit, match=f"^{next(iter(bad))}: expected "):
        agreed({"vid": VID, **bad})


def test_half_a_place_is_refused() -> None:
    with pytest.raises(BadHit, match=r"^lon: latitude and longitude go together$"):
        agreed({"vid": VID, "lat": 1})


def test_the_same_id_or_key_of_a_visitor_is_the_same_line_of_the_ledger() -> None:
    first = agreed({"vid": VID, "id": "a-1", "cflags": 1})
    again = agreed({"vid": VID, "EID": "a-1", "cflags": 1})
    by_key = agreed({"vid": VID, "cflags": 1}, key="a-1")
    assert first.identity.eid == again.identity.eid == by_key.identity.eid
    assert first.entry.client_id == again.entry.client_id == by_key.entry.client_id is not None
    others = [agreed({"vid": SID, "id": "a-1"}), agreed({"vid": VID, "oid": SID, "id": "a-1"})]
    assert len({one.identity.eid for one in (first, *others)}) == 3


def test_without_an_id_each_agreement_is_a_line_of_its_own() -> None:
    one, other = agreed({"vid": VID}), agreed({"vid": VID})
    assert one.identity.eid != other.identity.eid
    assert one.entry.client_id is None


def test_the_address_is_kept_only_when_that_is_wanted() -> None:
    assert "ip" not in current({"vid": VID, "ip": "9.9.9.9"})
    kept = agreed({"vid": VID}, pipeline=make(use_remove_ip=False))
    assert columns(kept.entry, "agreements")["ip"] == "8.8.8.8"


def test_the_senders_address_is_in_no_text_either() -> None:
    row = current({"vid": VID, "app": "I am 8.8.8.8 here", "compliances": {"8.8.8.8": "from 8.8.8.8"}})
    assert "8.8.8.8" not in json.dumps(row)
    assert row["app"] == "I am  here"


def test_no_query_and_nothing_that_names_a_person_is_stored() -> None:
    body = {
        "vid": VID,
        "url": "https://Example.com/Reset?mail=secret@example.com",
        "email": "secret@example.com",
        "cell": "secret",
        "uname": "secret",
        "compliances": {"gdpr": {"Email": "secret@example.com", "asked": 1}},
        "anything": "secret",
    }
    prepared = agreed(body)
    assert all(b"secret" not in row.line for row in prepared.entry.rows)
    row = columns(prepared.entry, "agreements")
    assert (row["url"], row["compliances"]) == ("//example.com/reset", {"gdpr": {"asked": 1}})


KEYS = sorted({*AGREEMENTS.kinds(), *AGREED.kinds(), "w", "h", "eid", "email", "VID", "Lat"})


@given(st.dictionaries(st.sampled_from(KEYS), documents, max_size=8), objects, st.text(max_size=20))
def test_whatever_is_sent_becomes_two_sound_rows_or_a_reason(
    body: dict[str, Any], base: dict[str, Any], key: str
) -> None:
    around = envelope(route="ppi", base=base)
    try:
        prepared, row = PIPELINE.prepare_agreement(Hit(around, body, NOW), key)
    except BadHit as error:
        assert error.code in ("missing_vid", "bad_field")
        return
    assert [one.table for one in prepared.entry.rows] == ["agreements", "agreed"]
    for one in prepared.entry.rows:
        check(one)
    assert json.loads(prepared.entry.rows[0].line) == row
