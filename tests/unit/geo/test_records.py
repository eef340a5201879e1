"""What databases of each vendor say becomes a place; what they do not know stays empty."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.events import Place
from tracker.geo.ip2location import place_of_record as place_of_bin
from tracker.geo.mmdb import place_of_record

ZURICH = Place("CH", "Zurich", "Zürich", "8001", 47.37, 8.55, "Europe/Zurich")
MAXMIND = {
    "city": {"geoname_id": 2657896, "names": {"de": "Zürich", "en": "Zürich"}},
    "country": {"iso_code": "CH", "names": {"en": "Switzerland"}},
    "location": {"accuracy_radius": 5, "latitude": 47.37, "longitude": 8.55, "time_zone": "Europe/Zurich"},
    "postal": {"code": "8001"},
    "registered_country": {"iso_code": "DE"},
    "subdivisions": [{"iso_code": "ZH", "names": {"en": "Zurich"}}, {"iso_code": "112"}],
}
DB_IP = {
    "city": {"names": {"en": "Zürich"}},
    "country": {"iso_code": "CH", "is_in_european_union": False},
    "location": {"latitude": 47.37, "longitude": 8.55},
    "subdivisions": [{"names": {"en": "Zurich"}}],
}
IPINFO = {
    "city": "Zürich",
    "country": "CH",
    "loc": "47.37,8.55",
    "postal": "8001",
    "region": "Zurich",
    "timezone": "Europe/Zurich",
}
IPINFO_LITE = {"country": "Switzerland", "country_code": "CH", "asn": "AS3303"}
FLAT = {
    "city": "Zürich",
    "country_code": "CH",
    "latitude": 47.37,
    "longitude": 8.55,
    "postcode": "8001",
    "state1": "Zurich",
    "timezone": "Europe/Zurich",
}


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (MAXMIND, ZURICH),
        (DB_IP, ZURICH._replace(zip="", tz="")),
        (IPINFO, ZURICH._replace(zip="8001")),
        (IPINFO_LITE, Place("CH")),
        (FLAT, ZURICH),
        ({"country_code": "ch"}, Place("CH")),
        ({"registered_country": {"iso_code": "CH"}}, Place("CH")),
        ({"country": {"iso_code": "CH"}, "subdivisions": [{"iso_code": "ZH"}]}, Place("CH", "ZH")),
    ],
    ids=["maxmind", "db-ip", "ipinfo", "ipinfo-lite", "flat", "lower", "registered", "code-of-region"],
)
def test_every_vendor_s_names_are_understood(record: Any, place: Place) -> None:
    assert place_of_record(record) == place


@pytest.mark.parametrize(
    "record",
    [
        *({}, [], "x", 5, None, {"country": "-"}, {"country_code": ""}, {"country": {"iso_code": None}}),
        *({"country_code": "ÄÖ"}, {"country_code": "CHE"}, {"latitude": 0.0, "longitude": 0.0}),
        *({"latitude": 91, "longitude": 0}, {"loc": "nan,1"}, {"loc": "1,2,3"}, {"lat": "x", "lon": "1"}),
        {"subdivisions": [], "city": {"names": {}}, "postal": {"code": "-"}},
    ],
    ids=str,
)
def test_what_says_nothing_is_no_place(record: Any) -> None:
    assert place_of_record(record) is None


def of_bin(**fields: Any) -> Place | None:
    unknown = dict.fromkeys(("country_short", "region", "city", "zipcode", "timezone"), "-")
    numbers = {"latitude": "0.000000", "longitude": "0.000000"}
    return place_of_bin(SimpleNamespace(**(unknown | numbers | fields)))


def test_a_bin_says_dash_for_what_it_does_not_know() -> None:
    assert of_bin() is None
    assert of_bin(country_short="CH", latitude="47.370000", longitude="8.550000") == Place(
        "CH", lat=47.37, lon=8.55
    )


def test_what_a_bin_of_a_smaller_type_lacks_is_unknown() -> None:
    lacking = "This parameter is unavailable in selected .BIN data file. Please upgrade data file."
    assert of_bin(country_short="CH", region=lacking, latitude=lacking, longitude=None) == Place("CH")
    assert of_bin(country_short="INVALID IP ADDRESS", city="INVALID IP ADDRESS") is None
    assert of_bin(country_short="IPV6 ADDRESS MISSING IN IPV4 BIN") is None


NAMES = """country iso_code country_code city names en subdivisions location latitude longitude loc lat lon
lng postal code region timezone registered_country"""
words = st.sampled_from(NAMES.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("1e999,5"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=60)
@given(values)
def test_any_record_is_a_clean_place_or_none(record: Any) -> None:
    place = place_of_record(record)
    if place is None:
        return
    assert place.country == "" or (len(place.country) == 2 and place.country.isupper())
    assert all(text.isprintable() and text == text.strip() and len(text) <= 200 for text in place[:4])
    assert abs(place.lat) <= 90
    assert abs(place.lon) <= 180
    json.dumps(place, allow_nan=False)
