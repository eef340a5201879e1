"""A ClickHouse entry: where its servers are, and what cannot be."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import config_of, errors_of
from tracker.config import database, endpoints, is_embedded, is_tls
from tracker.settings import sink_settings


def entry(**keys: Any) -> dict[str, Any]:
    return {"Notify": [{"Service": "clickhouse", **keys}]}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, [("127.0.0.1", 8123)]),
        (
            {"Hosts": ["a", "b:81", "[::1]:82", "[fe80::1]"]},
            [("a", 8123), ("b", 81), ("::1", 82), ("fe80::1", 8123)],
        ),
        ({"Hosts": ["a:9000", "b:9440"]}, [("a", 8123), ("b", 8123)]),
        ({"Hosts": ["a", "b:9440"], "Secure": True}, [("a", 8443), ("b", 8443)]),
        ({"Host": "a", "Port": 9000, "CACert": "ca.pem"}, [("a", 8443)]),
        ({"Host": "a", "Secure": True, "Unencrypted": True}, [("a", 8123)]),
    ],
)
def test_servers_are_reached_over_http(tmp_path: Path, keys: Any, expected: list[tuple[str, int]]) -> None:
    (sink,) = config_of(tmp_path, entry(**keys)).sinks
    assert [(found.host, found.port) for found in endpoints(sink)] == expected


@pytest.mark.parametrize(
    ("keys", "tls", "verified"),
    [({}, False, False), ({"Secure": True}, True, True), ({"CACert": "ca.pem"}, True, False)],
)
def test_tls_is_on_by_secure_or_ca_cert_and_verified_by_secure(
    tmp_path: Path, keys: Any, tls: bool, verified: bool
) -> None:
    config = config_of(tmp_path, entry(**keys))
    server = sink_settings(config, config.sinks[0]).server
    assert server is not None
    assert (is_tls(config.sinks[0]), server.is_tls, server.is_verified) == (tls, tls, verified)


def test_a_server_is_told_with_its_defaults_and_with_those_of_all_stores(tmp_path: Path) -> None:
    common = {"MaxConnections": 3, "ConnectionTimeout": 4, "Spool": {"Durability": "process-crash"}}
    config = config_of(tmp_path, entry(TTL={"logs": "30d"}, Compression="zstd", Context="other") | common)
    settings = sink_settings(config, config.sinks[0])
    server = settings.server
    assert server is not None
    assert (server.database, server.connections, server.connect_seconds) == ("other", 3, 4)
    assert (server.compression, settings.durability) == ("zstd", "process-crash")
    assert settings.ttl_seconds == {"logs": 30 * 86_400}


def test_the_password_is_not_shown(tmp_path: Path) -> None:
    config = config_of(tmp_path, entry(Username="u", Password="s3cret"))
    assert "s3cret" not in repr(sink_settings(config, config.sinks[0]))


def test_the_embedded_engine_has_a_folder_beside_the_configuration_and_the_usual_database(
    tmp_path: Path,
) -> None:
    (sink,) = config_of(tmp_path, entry(Hosts=["embedded"])).sinks
    assert is_embedded(sink)
    assert (sink.context, sink.name) == (str(tmp_path / "data/clickhouse"), "clickhouse:data/clickhouse")
    assert database(sink) == "sfpla"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (entry(Hosts=["http://a:8123"]), "Notify[0].Hosts: 'http://a:8123' is no host:port"),
        (entry(Hosts=["a:0"]), "Notify[0].Hosts: 'a:0' is no host:port"),
        (entry(Hosts=["embedded", "a"]), 'Notify[0].Hosts: "embedded" stands alone'),
        (entry(Hosts=["embedded"], Cluster="c"), "Notify[0].Cluster: the embedded engine is no part of"),
        (
            entry(Hosts=["embedded"], Context="s3://bucket"),
            "Notify[0].Context: expected the path of a folder",
        ),
        (entry(Hosts=["embedded"]) | {"Workers": 2}, "Workers: got 2, expected 1: embedded ClickHouse"),
        (entry(Context="a b"), "Notify[0].Context: expected the name of a database"),
        (entry(Cluster="a'b"), "Notify[0].Cluster: expected the name of a cluster"),
        (entry(Cert="a.pem"), "Notify[0].Key: missing"),
        (entry(TTL={"event": "1d"}), "did you mean events?"),
        (entry(TTL={"events": "never"}), "expected ages by table"),
        (entry(TTL={"events": 0}), "the age of events is none"),
        (entry(Compression="gzip"), "expected one of lz4, zstd, none"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    assert any(expected in error for error in errors_of(tmp_path, data)), errors_of(tmp_path, data)


def test_two_embedded_engines_are_one_too_many(tmp_path: Path) -> None:
    one = {"Service": "clickhouse", "Hosts": ["embedded"], "Context": "a"}
    (error,) = errors_of(tmp_path, {"Notify": [one, {**one, "Context": "b"}]})
    assert "Notify[1]: is embedded as Notify[0] is" in error
