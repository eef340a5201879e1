"""Environment variables and flags over the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.config.support import DUCKDB, config_of, errors_of, load_data, warnings_of
from tracker.config import load
from tracker.config.environment import assignments


def test_a_variable_wins_over_the_file_and_a_flag_over_both(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"Spool": {"Durability": "memory", "MaxBytes": 5}}')
    environ = {"TRACKER_SPOOL__DURABILITY": "process-crash"}
    assert load(file, environ).config.spool.durability == "process-crash"
    for flag in ("TRACKER_SPOOL__DURABILITY", "Spool__Durability"):
        spool = load(file, environ, {flag: "power-loss"}).config.spool
        assert (spool.durability, spool.max_bytes) == ("power-loss", 5)


def test_values_are_read_as_their_key_needs_them(tmp_path: Path) -> None:
    environ = {
        "TRACKER_USEREMOVEIP": "false",
        "TRACKER_REDIRECTHOSTS": '["a.com", "B.com"]',
        "TRACKER_PREFIXPRIVATEHASH": "12345",
        "TRACKER_ALLOWORIGIN": '"quoted"',
        "TRACKER_LIMITS__MAXEVENTS": "7",
        "TRACKER_LIMITS__WEBSOCKETIDLE": "90",
        "TRACKER_ADMIN__METRICSFROM": '["10.0.0.0/8"]',
        "TRACKER_BATCHING__EVENTS__MAXBATCHTIME": "500ms",
        "TRACKER_BATCHING__DEFAULT__PRIORITY": "9",
        "TRACKER_NOTIFY__0__PASSWORD": "true",
    }
    config = config_of(tmp_path, {"Notify": [DUCKDB]}, environ)
    assert not config.use_remove_ip
    assert config.redirect_hosts == ("a.com", "b.com")
    assert config.prefix_private_hash == "12345"
    assert config.allow_origin == '"quoted"'
    assert config.limits.max_events == 7
    assert config.limits.websocket_idle_seconds == 90
    assert config.batching_for("events").max_batch_time_seconds == 0.5
    assert config.batching_for("emails").priority == 9
    assert config.notify[0].password == "true"


def test_a_list_can_be_built_by_variables_alone(tmp_path: Path) -> None:
    environ = {"TRACKER_NOTIFY__0__TYPE": "duckdb", "TRACKER_NOTIFY__0__CONTEXT": "x.duckdb"}
    assert config_of(tmp_path, {}, environ).sinks[0].name == "duckdb:x.duckdb"
    (error,) = errors_of(tmp_path, {"Notify": [DUCKDB]}, {"TRACKER_NOTIFY__2__CONTEXT": "x"})
    assert error == "TRACKER_NOTIFY__2__CONTEXT: Notify[2].Context: there is nothing to set it in"


def test_a_whole_section_comes_before_its_keys(tmp_path: Path) -> None:
    environ = {"TRACKER_SPOOL__PATH": "/b", "TRACKER_SPOOL": '{"Path": "/a", "MaxBytes": 9}'}
    spool = config_of(tmp_path, {"Spool": {"Durability": "memory"}}, environ).spool
    assert (str(spool.path), spool.max_bytes, spool.durability) == ("/b", 9, "power-loss")


def test_a_whole_section_may_use_other_names_too(tmp_path: Path) -> None:
    environ = {"TRACKER_NOTIFY": '[{"Type": "duckdb", "Keyspace": "x.duckdb"}]'}
    assert config_of(tmp_path, {"Notify": [{"Type": "nats"}]}, environ).sinks[0].name == "duckdb:x.duckdb"
    environ = {"TRACKER_NOTIFY__0": '{"Type": "duckdb", "Keyspace": 5}'}
    (error,) = errors_of(tmp_path, {}, environ)
    assert error == "TRACKER_NOTIFY__0: Notify[0].Keyspace: got 5 (number), expected text"


def test_a_variable_takes_the_other_names_of_its_key_out(tmp_path: Path) -> None:
    environ = {"TRACKER_ANONYMIZEIP": "false", "TRACKER_NOTIFY__0__HOSTS": '["b:1"]'}
    data = {"UseRemoveIP": True, "Notify": [{"Service": "nats", "Host": "a", "Port": 1}]}
    config = config_of(tmp_path, data, environ)
    assert not config.use_remove_ip
    assert config.notify[0].addresses == ("b:1",)
    config = config_of(tmp_path, data, {"TRACKER_NOTIFY__0__HOST": "c"})
    assert config.notify[0].addresses == ("c:1",)


def test_a_secret_comes_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" pep\nper\n")
    environ = {"TRACKER_PREFIXPRIVATEHASH_FILE": str(tmp_path / "secret")}
    assert config_of(tmp_path, {}, environ).prefix_private_hash == " pep\nper"


def test_a_secret_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123\r\n")
    environ = {"TRACKER_NOTIFY__0__PASSWORD_FILE": str(tmp_path / "secret")}
    assert config_of(tmp_path, {"Notify": [DUCKDB]}, environ).notify[0].password == "0123"


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("TRACKER_SPOL__PATH", "x", "unknown key; did you mean TRACKER_SPOOL__PATH?"),
        ("TRACKER_SPOOL__PATHS", "x", "unknown key; did you mean TRACKER_SPOOL__PATH?"),
        (
            "TRACKER_NOTIFY__0__PASWORD_FILE",
            "x",
            "unknown key; did you mean TRACKER_NOTIFY__0__PASSWORD_FILE?",
        ),
        ("TRACKER_NOTIFY__PASSWORD", "x", "unknown key; expected a position such as 0 after NOTIFY"),
        ("TRACKER_QQQQ", "x", "unknown key"),
        ("TRACKER_", "x", "unknown key"),
        ("TRACKER_WORKERS__X", "1", "unknown key"),
        ("TRACKER_WORKERS", "two", 'Workers: got "two" (text), expected a whole number from 1 to 1024'),
        ("TRACKER_NOTIFY", "[7]", "Notify[0]: got 7 (number), expected an object"),
        ("TRACKER_SPOOL", "x", 'Spool: got "x" (text), expected an object'),
        ("TRACKER_WORKERS_FILE", "x", "only secrets are read from files; give the value itself"),
        ("TRACKER_PREFIXPRIVATEHASH_FILE", "/nowhere", "cannot read /nowhere: No such file or directory"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    tmp_path: Path, variable: str, text: str, expected: str
) -> None:
    data = {"Notify": [{"Service": "nats_", "Hosts": ["a"]}]}
    assert errors_of(tmp_path, data, {variable: text}) == [f"{variable}: {expected}"]


def test_two_variables_that_set_one_key_must_agree(tmp_path: Path) -> None:
    environ = {"TRACKER_ANONYMIZEIP": "false", "TRACKER_USEREMOVEIP": "true"}
    (error,) = errors_of(tmp_path, {}, environ)
    assert error == "TRACKER_USEREMOVEIP: sets the same key as TRACKER_ANONYMIZEIP, to another value"
    assert config_of(tmp_path, {}, dict.fromkeys(environ, "true")).use_remove_ip


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "PATH": "/bin",
        "TRACKER_PORT": "tcp://10.0.0.1:8880",
        "TRACKER_SERVICE_HOST": "10.0.0.1",
        "TRACKER_SERVICE_PORT_HTTP": "8880",
        "TRACKER_PORT_8880_TCP_ADDR": "10.0.0.1",
    }
    assert load_data(tmp_path, {"Notify": [DUCKDB]}, environ).warnings == ()


def test_facebooks_variables_are_known_and_have_no_effect_yet(tmp_path: Path) -> None:
    warnings = warnings_of(tmp_path, {}, {"FB_PIXEL": "1", "FB_TOKEN": "hunter2"})
    assert [warning.partition(":")[0] for warning in warnings] == ["FB_PIXEL", "FB_TOKEN"]
    assert "hunter2" not in str(warnings)


@given(st.dictionaries(st.text(max_size=30).map(lambda name: f"TRACKER_{name}"), st.text(max_size=30)))
def test_any_variable_is_an_assignment_or_a_problem(environ: dict[str, str]) -> None:
    problems: list[str] = []
    found = assignments(environ, problems)
    assert len(found) + len(problems) == len(environ)
