"""What a configuration means once it is read."""

import ipaddress
from pathlib import Path

import pytest

from tests.unit.config.support import DUCKDB, config_of, load_data
from tracker.config import Listen, load


def test_an_empty_file_is_a_configuration(tmp_path: Path) -> None:
    config = config_of(tmp_path, {})
    assert config.listen == Listen("127.0.0.1", 8880)
    assert config.use_remove_ip
    assert config.spool.durability == "power-loss"
    assert config.spool.max_bytes == 10 * 2**30
    assert config.spool.remember_for_seconds == 86400
    assert config.limits.max_body_bytes == 8 * 2**20
    assert config.limits.websocket_idle_seconds == 300
    assert config.cookies.visitor == "vid"
    assert ipaddress.ip_network("127.0.0.0/8") in config.trusted_proxies


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    data = {"Notify": [DUCKDB], "Admin": {"Socket": "/run/t.sock"}, "StaticDirectory": "web"}
    config = config_of(tmp_path, data)
    assert config.spool.path == tmp_path / "data/spool"
    assert config.sinks[0].context == str(tmp_path / "data/tracker.duckdb")
    assert config.admin.socket == Path("/run/t.sock")
    assert config.static_directory == tmp_path / "web"


def test_a_relative_file_name_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert load(Path("config.json"), {}).config.spool.path == tmp_path / "data/spool"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8880", Listen(None, 8880)),
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("[::1]:8880", Listen("::1", 8880)),
        ("localhost:80", Listen("localhost", 80)),
    ],
)
def test_the_plain_listeners_address_is_taken_apart(tmp_path: Path, text: str, expected: Listen) -> None:
    listen = config_of(tmp_path, {"ProxyExceptHTTP": text}).listen
    assert listen == expected
    assert str(listen) == text


def test_a_sink_is_named_by_its_service_and_its_context_as_written(tmp_path: Path) -> None:
    other = {"Service": "duckdb", "Name": "mine", "Context": "other.duckdb"}
    sinks = config_of(tmp_path, {"Notify": [DUCKDB, other]}).sinks
    assert [sink.name for sink in sinks] == ["duckdb:data/tracker.duckdb", "mine"]


def test_a_duckdb_without_context_has_a_file(tmp_path: Path) -> None:
    (sink,) = config_of(tmp_path, {"Notify": [{"Service": "duckdb"}]}).sinks
    assert sink.name == "duckdb:data/tracker.duckdb"
    assert sink.context == str(tmp_path / "data/tracker.duckdb")


def test_only_services_that_are_on_and_available_are_sinks(tmp_path: Path) -> None:
    notify = [DUCKDB, {"Service": "duckdb_"}, {"Service": "duckdb", "Skip": True}, {"Service": "nats"}]
    assert len(config_of(tmp_path, {"Notify": notify}).sinks) == 1


def test_a_number_of_timeout_is_milliseconds_and_a_text_says_its_unit(tmp_path: Path) -> None:
    notify = [{**DUCKDB, "Timeout": 300}, {"Service": "nats_", "Timeout": "2s"}]
    config = config_of(tmp_path, {"Notify": notify})
    assert [service.timeout_seconds for service in config.notify] == [0.3, 2]


def test_the_names_of_the_readme_are_known(tmp_path: Path) -> None:
    clickhouse = {"Type": "clickhouse", "Host": "localhost", "Port": 9000, "BatchingEnabled": True}
    batched = {**clickhouse, "MaxBatchSize": 1000, "MaxBatchTime": "2s", "EnableCompression": True}
    cassandra = {"Type": "cassandra", "Hosts": ["localhost:9042"], "Keyspace": "tracker", "MaxConnections": 3}
    readme = {
        "Notify": [{**batched, "BatchFlushInterval": "1s"}, cassandra],
        "UseLocalTLS": True,
        "LetsEncryptDomains": ["yourdomain.com"],
        "RateLimitPerDay": 10000,
        "MaxConnections": 10,
        "ConnectionTimeout": 30,
        "GeoIPDatabase": ".setup/geoip/IP2LOCATION.BIN",
        "AnonymizeIP": False,
        "DataRetentionDays": 365,
        "PruneOldData": True,
    }
    config = config_of(tmp_path, readme)
    assert config.notify[0].service == "clickhouse"
    assert config.notify[0].addresses == ("localhost:9000",)
    assert (config.notify[1].context, config.notify[1].connections) == ("tracker", 3)
    assert config.domains == ("yourdomain.com",)
    assert config.proxy_daily_limit == 10000
    assert config.connection_timeout_seconds == 30
    assert not config.use_remove_ip


def test_two_names_of_one_key_may_agree(tmp_path: Path) -> None:
    assert config_of(tmp_path, {"AnonymizeIP": True, "UseRemoveIP": True}).use_remove_ip
    assert config_of(tmp_path, {"Notify": [{**DUCKDB, "Type": "duckdb"}]}).sinks


def test_debug_is_the_log_level_unless_one_is_given(tmp_path: Path) -> None:
    assert config_of(tmp_path, {"Debug": True}).log.level == "debug"
    assert config_of(tmp_path, {"Debug": True, "Log": {"Level": "error"}}).log.level == "error"


def test_a_pattern_is_compiled_and_an_empty_one_is_none(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"UrlFilter": "(a)(b)", "UrlFilterMatchGroup": 2, "ProxyUrlFilter": ""})
    assert config.url_filter is not None
    assert config.url_filter.match("ab")
    assert config.proxy_url_filter is None
    assert config_of(tmp_path, {"UrlFilter": "[[a]"}).url_filter is not None


def test_the_nested_keys_of_a_queue_and_of_pruning_are_known(tmp_path: Path) -> None:
    query = {"Statement": "s", "QueryType": "q", "Fields": [{"Type": "t", "Id": "i", "Default": 0}]}
    prune = {
        "Table": "events",
        "TTL": 86400,
        "CFlagsIgnore": [1, 2],
        "Fields": [{"Id": "ip", "DestParamHash": "h"}],
    }
    nats = {
        "Service": "nats_",
        "Filter": [{"Type": "t", "Alias": "log", "Id": "tic.log.>", "Queries": [query]}],
    }
    config = config_of(tmp_path, {"Notify": [{"Service": "cassandra_", "Prune": [prune]}], "Consume": [nats]})
    assert config.consume[0].filter[0].queries[0].fields_[0].id == "i"
    assert config.notify[0].prune[0].cflags_ignore == (1, 2)


def test_the_loaded_configuration_cannot_be_changed(tmp_path: Path) -> None:
    loaded = load_data(tmp_path, {})
    with pytest.raises(ValueError, match="frozen"):
        loaded.config.workers = 2


def test_a_secret_is_not_in_the_printed_form_of_the_objects(tmp_path: Path) -> None:
    data = {
        "PrefixPrivateHash": "pepper",
        "Notify": [{"Service": "nats_", "Password": "hunter2", "Key": "k3y"}],
    }
    shown = repr(load_data(tmp_path, data))
    assert not any(secret in shown for secret in ("pepper", "hunter2", "k3y"))
