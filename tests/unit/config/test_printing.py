"""The configuration as --print-config shows it, and the list of keys for the documentation."""

import json
from pathlib import Path

from tests.unit.config.support import DUCKDB, config_of
from tracker.config import known_keys, masked

EVERYTHING = {
    "Notify": [
        {**DUCKDB, "Password": "hunter2", "Timeout": 300, "CACert": "ca.pem"},
        {"Service": "nats_", "Hosts": ["nats://me:hunter2@host:4222"], "Key": "hunter2"},
    ],
    "API": {"Service": "duckdb"},
    "Consume": [{"Service": "nats_", "Filter": [{"Queries": [{"Fields": [{"Default": 1.5}]}]}]}],
    "Spool": {"MaxBytes": "8MiB", "RememberFor": "90s"},
    "Batching": {"events": {"MaxBatchTime": "1.5s"}},
    "UrlFilter": "(a)",
    "PrefixPrivateHash": "hunter2",
    "ProxyExceptHTTP": "[::1]:0",
    "TrustedProxies": ["10.0.0.0/8"],
}


def test_secrets_are_masked_when_they_are_set(tmp_path: Path) -> None:
    shown = masked(config_of(tmp_path, EVERYTHING))
    assert "hunter2" not in json.dumps(shown)
    assert shown["PrefixPrivateHash"] == shown["Notify"][0]["Password"] == shown["Notify"][1]["Key"] == "***"
    assert shown["AccountHashMixer"] == ""
    assert shown["Notify"][1]["Hosts"] == ["nats://***@host:4222"]


def test_keys_are_the_files_and_times_are_seconds(tmp_path: Path) -> None:
    shown = masked(config_of(tmp_path, EVERYTHING))
    assert shown["Spool"]["RememberFor"] == 90
    assert shown["Batching"] == {"events": {"MaxBatchTime": 1.5}}
    assert shown["Spool"]["Path"] == str(tmp_path / "data/spool")
    assert shown["Notify"][0]["Timeout"] == "0.3s"


def test_what_is_shown_reads_as_the_same_configuration(tmp_path: Path) -> None:
    config = config_of(tmp_path, {**EVERYTHING, "PrefixPrivateHash": ""})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert masked(config_of(elsewhere, masked(config))) == masked(config)


def test_every_key_has_a_meaning_and_a_default_that_reads(tmp_path: Path) -> None:
    keys = known_keys()
    paths = [key.path for key in keys]
    assert len(set(paths)) == len(paths)
    assert {"Spool.Path", "Notify[].Hosts", "Batching.<table>.Strategy", "UseRemoveIP"} <= set(paths)
    assert all(key.meaning and key.expects for key in keys)
    top = {key.path: key.default for key in keys if "." not in key.path and key.default is not None}
    assert config_of(tmp_path, top) == config_of(tmp_path, {})


def test_the_other_names_are_listed_with_their_key() -> None:
    other = {key.path: key.other_names for key in known_keys() if key.other_names}
    assert other["UseRemoveIP"] == ("AnonymizeIP",)
    assert other["Notify[].Service"] == ("Type",)
