"""Warnings about what was asked for and does not happen yet."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import DUCKDB, load_data, warnings_of
from tracker.config import NOT_YET, REPLACED
from tracker.config.batching import DEFAULT, TABLES
from tracker.config.keys import names
from tracker.config.model import Config
from tracker.config.notyet import NOT_WRITTEN_YET
from tracker.sinks.registry import SCHEMA
from tracker.tables import CATALOGUE


@pytest.mark.parametrize(
    "data",
    [
        {
            "UseGeoIP": True,
            "UseRegionDescriptions": False,
            "GeoIPVersion": 1,
            "S3Bucket": "",
            "ProxyDailyLimit": 0,
            "Consume": [],
        },
        {"CFlagsMarketing": 4096, "Workers": 1},
        {"Notify": [DUCKDB, {"Service": "cassandra_", "Hosts": ["a"]}, {"Service": "odd_"}]},
        {"Notify": [DUCKDB, {"Service": "nats", "Skip": True}]},
        {"Notify": [{"Service": "clickhouse", "Hosts": ["embedded"], "Context": "data/clickhouse"}]},
        {"Notify": [{"Service": "clickhouse", "Hosts": ["a:8123", "b"], "Cluster": "c", "Timeout": 300}]},
        {"Batching": {"default": {}, "events": {}, "mthreads": {}, "visitor_interests": {}}},
        {"Notify": [{**DUCKDB, "Critical": True, "MaxBatchSize": 5, "Note": "x", "Hosts": []}]},
    ],
)
def test_what_asks_for_nothing_is_silent(tmp_path: Path, data: dict[str, Any]) -> None:
    assert warnings_of(tmp_path, data) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"IPv4GeoIPZip": "a.zip"}, "IPv4GeoIPZip: has no effect: name the unpacked BIN or mmdb in GeoIP"),
        (
            {"GeoIPVersion": 2},
            "GeoIPVersion: has no effect: GeoIPDatabase is read anew when its file changes",
        ),
        ({"RateLimitPerDay": 10}, "RateLimitPerDay: has no effect yet"),
        ({"LetsEncryptDomains": ["a.com"]}, "LetsEncryptDomains: has no effect yet; later HTTPS"),
        ({"Batching": {"instant": {}}}, "Batching.instant: has no effect yet: no rows"),
        ({"Batching": {"impression_daily": {}}}, "Batching.impression_daily: has no effect: this is a view"),
        ({"Notify": [DUCKDB, {"Type": "cassandra"}]}, "Notify[1]: cassandra cannot be written to yet"),
        ({"Notify": [{"Service": "clickhouse", "Retries": 3}]}, "Notify[0].Retries: has no effect for click"),
        (
            {"Notify": [{"Service": "clickhouse", "Hosts": ["db:9000"]}]},
            "Notify[0].Hosts: 9000 is the native protocol's port; db:8123 over HTTP is used",
        ),
        (
            {"Notify": [{"Service": "clickhouse", "Host": "db", "Port": 9440, "Secure": True}]},
            "Notify[0].Port: 9440 is the native protocol's port; db:8443 over HTTPS is used",
        ),
        ({"Notify": [{**DUCKDB, "Timeout": 300}]}, "Notify[0].Timeout: has no effect for duckdb"),
        ({"API": {"Service": "cassandra"}}, "API: names no store of Notify that can answer"),
        ({"API": {"Service": "duckdb", "Name": "other"}}, "API: names no store of Notify that can answer"),
        ({"Notify": []}, "Notify: names no store that can be written to"),
        ({"Consume": [{"Service": "nats"}]}, "Consume: has no effect yet; later queues will be read"),
    ],
)
def test_what_does_not_happen_yet_is_said_once(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    (warning,) = warnings_of(tmp_path, data)
    assert warning.startswith("config.json:")
    assert expected in warning


def test_domains_are_used_already_and_need_no_warning(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, {"Domains": ["a.com"]}) == []


def test_a_variable_is_warned_about_by_its_name(tmp_path: Path) -> None:
    (warning,) = warnings_of(tmp_path, {}, {"TRACKER_S3BUCKET": "b"})
    assert warning.startswith("TRACKER_S3BUCKET: S3Bucket: has no effect yet")


def test_no_warning_repeats_a_value(tmp_path: Path) -> None:
    secrets = {"S3SecretAccessKey": "hunter2", "AccountHashMixer": "hunter2"}
    loaded = load_data(tmp_path, {**secrets, "Notify": [{**DUCKDB, "Password": "hunter2"}]})
    assert len(loaded.warnings) == 3
    assert "hunter2" not in str(loaded.warnings)


def test_every_key_that_waits_is_a_known_key() -> None:
    assert set(NOT_YET) | set(REPLACED) <= set(names(Config))


def test_every_table_that_is_called_a_view_is_one() -> None:
    schema = "".join(path.read_text("utf-8") for path in (SCHEMA / "duckdb").glob("*.sql"))
    called = set(TABLES) - set(CATALOGUE) - NOT_WRITTEN_YET - {DEFAULT}
    assert [name for name in sorted(called) if f"VIEW {name} AS" not in schema] == []
