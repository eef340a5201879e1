"""The section `Privacy`: what it accepts, what it means, and what it says of mistakes."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import DUCKDB, config_of, errors_of, load_data
from tracker.config import masked
from tracker.errors import BadHit
from tracker.settings import guard_of, residency_of, web_settings
from tracker.steps.protect import KEEP


def test_by_default_only_the_binding_signal_makes_a_difference(tmp_path: Path) -> None:
    config = config_of(tmp_path, {})
    guard = guard_of(config)
    assert guard is not None
    assert guard.decide("US", "ca", None, gpc=True, dnt=True) == ("anonymise", "gpc")
    assert guard.decide("DE", "", None, gpc=False, dnt=True) is KEEP
    assert residency_of(config) is None
    assert config.privacy.ip_hash == "keyed"
    assert web_settings(config).honours_gpc


def test_where_nothing_is_asked_for_there_is_no_guard_at_all(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"Privacy": {"GPC": "ignore"}})
    assert guard_of(config) is None
    assert not web_settings(config).honours_gpc


def test_rules_name_places_and_purposes(tmp_path: Path) -> None:
    rules = [
        {"Regions": [" de ", "us-ca", "*"], "Basis": "opt-in", "Purposes": ["ads", "stats"]},
        {"Regions": ["FR"], "Basis": "opt-in", "Otherwise": "drop"},
    ]
    privacy = {"GPC": "ignore", "Consent": rules, "Purposes": {"ads": 1, "stats": 6}}
    guard = guard_of(config_of(tmp_path, {"Privacy": privacy}))
    assert guard is not None
    for country, region in (("DE", ""), ("US", "california"), ("", "")):
        assert guard.decide(country, region, 7, gpc=False, dnt=False) is KEEP
        assert guard.decide(country, region, 5, gpc=False, dnt=False) == ("anonymise", "refused_consent")
    assert guard.decide("FR", "", 8, gpc=False, dnt=False) is KEEP
    assert guard.decide("FR", "", None, gpc=False, dnt=False) == ("drop", "no_consent")


def test_stores_are_named_by_name_or_service_and_count_only_when_they_are_on(tmp_path: Path) -> None:
    notify = [
        DUCKDB,
        {**DUCKDB, "Name": "b", "Context": "b.db"},
        {**DUCKDB, "Service": "duckdb_", "Name": "c"},
    ]
    rules: list[Any] = [
        {"Regions": ["DE"], "Sinks": ["b"]},
        {"Regions": ["FR"], "Sinks": ["duckdb"]},
        {"Regions": ["IT"], "Sinks": ["c"], "Otherwise": "anonymise"},
        {"Regions": ["CN"], "Sinks": ["c"]},
    ]
    residency = residency_of(config_of(tmp_path, {"Notify": notify, "Privacy": {"Residency": rules}}))
    assert residency is not None
    found = {country: residency.home(country, "") for country in ("DE", "FR", "IT", "CH")}
    assert {country: home and sorted(home.sinks) for country, home in found.items()} == {
        "DE": ["b"],
        "FR": ["b", "duckdb:data/tracker.duckdb"],
        "IT": [],
        "CH": None,
    }
    with pytest.raises(BadHit, match="no store"):
        residency.home("CN", "")


def test_residency_alone_is_enough_to_be_guarded(tmp_path: Path) -> None:
    rules = [{"Regions": ["DE"], "Sinks": ["duckdb"]}]
    config = config_of(tmp_path, {"Notify": [DUCKDB], "Privacy": {"GPC": "ignore", "Residency": rules}})
    assert guard_of(config) is not None


@pytest.mark.parametrize(
    ("privacy", "place"),
    [
        ({"GPC": "obey"}, "Privacy.GPC"),
        ({"DNT": True}, "Privacy.DNT"),
        ({"Consent": [{"Basis": "opt-in"}]}, "Privacy.Consent[0].Regions"),
        ({"Consent": [{"Regions": ["DE"]}]}, "Privacy.Consent[0].Basis"),
        ({"Consent": [{"Regions": [], "Basis": "none"}]}, "Privacy.Consent[0].Regions"),
        ({"Consent": [{"Regions": ["Germany"], "Basis": "none"}]}, "Privacy.Consent[0].Regions"),
        ({"Consent": [{"Regions": ["US-"], "Basis": "none"}]}, "Privacy.Consent[0].Regions"),
        ({"Consent": [{"Regions": ["US-a\nb"], "Basis": "none"}]}, "Privacy.Consent[0].Regions"),
        ({"Consent": [{"Regions": [1], "Basis": "none"}]}, "Privacy.Consent[0].Regions"),
        ({"Consent": [{"Regions": ["DE"], "Basis": "opt"}]}, "Privacy.Consent[0].Basis"),
        ({"Consent": [{"Regions": ["DE"], "Basis": "opt-in", "Purposes": ["x"]}]}, "Purposes"),
        ({"Consent": [{"Regions": ["DE", "de"], "Basis": "none"}] * 2}, "Privacy.Consent[1].Regions"),
        ({"Purposes": {"a": 0}}, "Privacy.Purposes"),
        ({"Purposes": {"a": 2**63}}, "Privacy.Purposes"),
        ({"Purposes": {"a": True}}, "Privacy.Purposes"),
        ({"Purposes": {"": 1}}, "Privacy.Purposes"),
        ({"Purposes": {f"a{n}": 1 for n in range(64)}}, "Privacy.Purposes"),
        ({"IPHash": "md5"}, "Privacy.IPHash"),
        ({"IPHashKey": "short"}, "Privacy.IPHashKey"),
        ({"Residency": [{"Regions": ["DE"], "Sinks": ["nowhere"]}]}, "Privacy.Residency[0].Sinks"),
        ({"Residency": [{"Regions": ["DE"]}]}, "Privacy.Residency[0].Sinks"),
        ({"Residency": [{"Regions": ["DE"], "Sinks": ["duckdb"], "Otherwise": "drop"}]}, "Otherwise"),
        ({"Residency": [{"Regions": ["DE"], "Sinks": ["duckdb"]}] * 2}, "Privacy.Residency[1].Regions"),
        ({"Concent": []}, "Privacy.Concent"),
    ],
)
def test_a_mistake_is_named_by_its_place(tmp_path: Path, privacy: dict[str, Any], place: str) -> None:
    errors = errors_of(tmp_path, {"Notify": [DUCKDB], "Privacy": privacy})
    assert any(place in error for error in errors), errors


def test_the_key_of_hashes_is_never_shown(tmp_path: Path) -> None:
    loaded = load_data(tmp_path, {"Privacy": {"IPHashKey": "a secret of some length"}})
    assert "a secret of some length" not in str(masked(loaded.config)) + repr(loaded.config)
