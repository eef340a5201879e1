"""What the message says when a configuration cannot be used."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import DUCKDB, errors_of


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        '{\n"Notify": [\n  {"Service": "duckdb"},\n  {"Service": "nats",\n   "Hosts": "x"}],\n"Workers": 0}'
    )
    assert errors_of(tmp_path, text) == [
        "config.json:6: Workers: got 0 (number), expected a whole number from 1 to 1024",
        'config.json:5: Notify[1].Hosts: got "x" (text), expected a list of text',
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"Spol": {"Path": "x"}}, "Spol: unknown key; did you mean Spool?"),
        ({"Spool": {"path": "x"}}, "Spool.path: unknown key; did you mean Path?"),
        ({"MaxBodyBytes": 1}, "MaxBodyBytes: unknown key; did you mean Limits.MaxBodyBytes?"),
        ({"anonymizeIp": True}, "anonymizeIp: unknown key; did you mean AnonymizeIP?"),
        ({"Qqqqq": True}, "Qqqqq: unknown key"),
        ({"": 1}, '"": unknown key'),
        ({"a\nb": 1}, r'"a\nb": unknown key'),
        ({"\ud800": 1}, r'"\ud800": unknown key'),
        (
            {"Notify": [{"Service": "nats", "Host s": 1}]},
            'Notify[0]."Host s": unknown key; did you mean Hosts?',
        ),
        ({"Batching": {"evnts": {}}}, "Batching.evnts: unknown table; did you mean events?"),
        ({"Notify": [{}]}, "Notify[0].Service: missing"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tmp_path: Path, data: Any, expected: str) -> None:
    (error,) = errors_of(tmp_path, data)
    assert error.partition(" ")[2] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"UseRemoveIP": 1}, "got 1 (number), expected true or false"),
        ({"Workers": True}, "got true (boolean), expected a whole number from 1 to 1024"),
        ({"Workers": 1.0}, "got 1.0 (number), expected a whole number"),
        ({"ApiVersion": None}, "got null, expected a whole number"),
        ({"Domains": ["a", 5]}, "got a list, expected a list of host names"),
        ({"RedirectHosts": ["https://a.com/"]}, "expected a list of host names without scheme or path"),
        ({"DefaultRedirect": "javascript:alert(1)"}, "expected an address that begins with http://"),
        ({"ProxyExceptHTTP": "127.0.0.1:65536"}, 'expected an address such as ":8880"'),
        ({"ProxyExceptHTTP": "[nonsense]:1"}, 'expected an address such as ":8880"'),
        ({"ProxyExceptHTTP": ""}, "there is no other listener yet"),
        ({"Notify": {"Password": "hunter2"}}, "Notify: got an object, expected a list of objects"),
        ({"Batching": []}, "Batching: got a list, expected an object of objects"),
        ({"Spool": 5}, "Spool: got 5 (number), expected an object"),
        ({"Spool": {"Path": ""}}, 'Spool.Path: got "" (text), expected the path of a file or folder'),
        ({"Spool": {"Path": "a\0b"}}, "a NUL character cannot be part of it"),
        ({"Spool": {"Path": "s3://bucket"}}, "an address is none"),
        ({"Spool": {"MaxBytes": "8 elephants"}}, 'text such as "64KB", "8MiB", above 0'),
        (
            {"Spool": {"Durability": "powerloss"}},
            "expected one of power-loss, process-crash, memory; did you mean",
        ),
        ({"Notify": [{"Service": "duck"}]}, "did you mean duckdb?"),
        ({"Notify": [{"Service": "nats", "Port": 0}]}, "expected a whole number from 1 to 65535"),
        ({"Notify": [{"Service": "nats", "Timeout": "soon"}]}, "expected milliseconds as a number, or text"),
        ({"Notify": [{**DUCKDB, "Context": ":memory:"}]}, "expected the path of a file, which outlives"),
        ({"Notify": [{**DUCKDB, "Context": "md:cloud"}]}, "expected the path of a file, which outlives"),
        ({"Limits": {"WebSocketIdle": -1}}, "got -1 (number), expected seconds as a number, or text"),
        ({"Limits": {"WebSocketIdle": 0}}, "above 0"),
        ({"Cookies": {"Visitor": "v id"}}, "expected a cookie's name"),
        ({"Cookies": {"Visitor": "sid"}}, '"sid" is the name of several cookies'),
        ({"TrustedProxies": ["10.0.0.1/8"]}, "10.0.0.1/8 has host bits set"),
        ({"UrlFilter": "("}, "expected a regular expression; missing ), unterminated subpattern"),
        (
            {"UrlFilter": "(a)", "UrlFilterMatchGroup": 2},
            "got 2, expected at most 1, the groups of UrlFilter",
        ),
        ({"Batching": {"events": {"Strategy": "fast"}}}, "expected one of immediate, time, size, hybrid"),
        ({"ProxyDailyLimit": -1}, "expected a whole number from 0"),
        ({"AllowOrigin": "\ud800"}, "half a surrogate pair is no text"),
    ],
)
def test_a_bad_value_names_what_was_expected(tmp_path: Path, data: Any, expected: str) -> None:
    (error,) = errors_of(tmp_path, data)
    assert expected in error


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["MaxAge", "MaxMemoryMB"])
def test_numbers_without_an_end_are_refused(tmp_path: Path, number: str, key: str) -> None:
    (error,) = errors_of(tmp_path, f'{{"Batching": {{"default": {{"{key}": {number}}}}}}}')
    assert f"Batching.default.{key}: got " in error


def test_a_key_given_twice_is_an_error_even_with_one_value(tmp_path: Path) -> None:
    assert errors_of(tmp_path, '{"Debug": false,\n"Debug": false}') == [
        "config.json:2: Debug: given twice in one object"
    ]


def test_two_names_of_one_key_that_differ_are_both_named(tmp_path: Path) -> None:
    (error,) = errors_of(tmp_path, {"AnonymizeIP": True, "UseRemoveIP": False})
    assert "UseRemoveIP and AnonymizeIP are names of one key" in error
    (error,) = errors_of(tmp_path, {"Notify": [{"Service": "nats", "Hosts": ["a:1"], "Host": "b"}]})
    assert "Hosts and Host or Port are given" in error


def test_a_problem_is_told_by_the_name_that_was_written(tmp_path: Path) -> None:
    (error,) = errors_of(tmp_path, {"Notify": [{"Type": "cassandra", "Keyspace": 5}]})
    assert error == "config.json:5: Notify[0].Keyspace: got 5 (number), expected text"


@pytest.mark.parametrize(
    "data",
    [
        {"PrefixPrivateHash": ["hunter2"]},
        {"PrefixPrivateHash": "hunter2\0"},
        {"S3SecretAccessKey": {"x": "hunter2"}},
        {"Notify": [{"Service": "nats", "Password": "hunter2\0"}]},
        {"Notify": [{"Service": "nats", "Pasword": "hunter2"}]},
        {"Notify": [{"Service": "facebook", "Key": ["hunter2"]}]},
        {"ProxyUrl": "ftp://me:hunter2@host/"},
        {"Unknown": "hunter2"},
    ],
)
def test_a_secret_is_never_repeated(tmp_path: Path, data: Any) -> None:
    assert "hunter2" not in "\n".join(errors_of(tmp_path, data))


def test_two_sinks_of_one_name_or_one_file_are_refused(tmp_path: Path) -> None:
    (error,) = errors_of(tmp_path, {"Notify": [DUCKDB, DUCKDB]})
    assert "Notify[1].Name: is the name of Notify[0] too" in error
    (error,) = errors_of(tmp_path, {"Notify": [DUCKDB, {**DUCKDB, "Name": "other"}]})
    assert "Notify[1].Context: is the file of Notify[0] too" in error


def test_duckdb_allows_one_worker(tmp_path: Path) -> None:
    (error,) = errors_of(tmp_path, {"Notify": [DUCKDB], "Workers": 2})
    assert error.endswith("Workers: got 2, expected 1: DuckDB has one writing process")
