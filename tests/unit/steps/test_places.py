"""Where an event happened: sent before time zone before address, each part by itself."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.unit.steps.build import Nowhere, check, columns, documents, hit
from tracker.events import Place
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings

ZURICH = Place("CH", "Zurich", "Zürich", "CH-8001", 47.37, 8.55, "+01:00")
BY_ADDRESS = {
    "country": "CH",
    "region": "zurich",
    "city": "zürich",
    "zip": "ch-8001",
    "lat": 47.37,
    "lon": 8.55,
}


WORDS = ("country", "region", "city", "zip", "lat", "lon", "tz", "LAT", "Country")


def pipeline_of(place: Place | None, with_regions: bool = True) -> Pipeline:
    """A pipeline that knows one address."""
    settings = PipelineSettings(use_region_descriptions=with_regions)
    known = {"8.8.8.8": place}
    return Pipeline(Nowhere(), settings, Metrics(CollectorRegistry(), "test"), geo=known.get)


def located(
    body: dict[str, Any], place: Place | None = ZURICH, with_regions: bool = True, **around: Any
) -> dict[str, Any]:
    """The place columns of the event that a body becomes, sent from an address with that place."""
    row = columns(pipeline_of(place, with_regions).prepare(hit(body, **around)).entry)
    return {name: value for name, value in row.items() if name in BY_ADDRESS}


def test_an_address_tells_all_that_was_not_sent() -> None:
    assert located({}) == BY_ADDRESS
    assert located({}, ip="") == {}
    assert located({}, place=None) == {}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"country": " de "}, {"country": "DE"}),
        ({"region": " Bavaria"}, {"region": "bavaria"}),
        ({"city": "MUNICH"}, {"city": "munich"}),
        ({"zip": "80331"}, {"zip": "80331"}),
        ({"lat": 48.1, "lon": 11.5}, {"lat": 48.1, "lon": 11.5}),
        ({"lat": "48.1", "lon": "11.5"}, {"lat": 48.1, "lon": 11.5}),
        ({"tz": "Europe/Berlin"}, {"country": "DE"}),
        ({"tz": "Europe/Berlin", "country": "at"}, {"country": "AT"}),
        ({"tz": "Mars/Olympus"}, {}),
        ({"country": "", "city": None}, {}),
        ({"lat": 0, "lon": 0}, {}),
        ({"lat": "x", "lon": "11.5"}, {}),
    ],
    ids=str,
)
def test_what_was_sent_wins_over_the_time_zone_and_that_over_the_address(
    sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert located(sent) == BY_ADDRESS | kept


def test_half_a_sent_place_on_the_equator_is_a_place() -> None:
    assert located({"lat": 0, "lon": 9.45})["lon"] == 9.45
    assert "lat" not in located({"lat": 0, "lon": 9.45})


def test_a_database_s_zero_is_no_place() -> None:
    assert located({}, Place("CH")) == {"country": "CH"}
    assert located({}, Place(lat=0.0, lon=9.45)) == {"lon": 9.45}


def test_without_region_descriptions_only_what_was_sent_is_kept() -> None:
    lacking = {name: value for name, value in BY_ADDRESS.items() if name not in ("region", "city")}
    assert located({}, with_regions=False) == lacking
    assert located({"region": "Bern", "city": "Thun"}, with_regions=False) == {
        **lacking,
        "region": "bern",
        "city": "thun",
    }


@pytest.mark.parametrize("route", ["tr", "str", "img", "ws"])
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "AMERICA/LOS_ANGELES", "US/Pacific", " us/pacific "])
def test_a_time_zone_in_any_case_and_by_older_names_needs_no_database(route: str, zone: str) -> None:
    assert located({"tz": zone}, None, route=route) == {"country": "US"}


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(WORDS), documents, max_size=6))
def test_whatever_is_sent_as_a_place_becomes_a_row_that_fits(body: dict[str, Any]) -> None:
    for row in pipeline_of(ZURICH).prepare(hit(body)).entry.rows:
        check(row)
