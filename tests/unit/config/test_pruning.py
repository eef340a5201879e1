"""What is wrong with what a store is to prune is said before anything starts."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.config.support import DUCKDB, config_of, errors_of, load_data, warnings_of
from tracker.errors import ConfigError
from tracker.retaining import retention_policy
from tracker.tables import CATALOGUE, VIEWS


def problems(tmp_path: Path, **entry: Any) -> list[str]:
    given = {"Table": "events", "TTL": 60, **entry}
    return errors_of(tmp_path, {"Notify": [{**DUCKDB, "Prune": [given]}]})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"Table": "visitors", "ClearAll": True}, "visitors is a view and holds no rows"),
        ({"Table": "sessions", "ClearAll": True}, "name the table it is made of: events"),
        ({"Table": "ltv", "ClearAll": True}, "name the table it is made of: payments"),
        ({"Table": "event", "ClearAll": True}, "did you mean events?"),
        ({"Table": "", "ClearAll": True}, "missing: the table that is pruned"),
        ({"TTL": 0, "ClearAll": True}, "expected an age of at least a second"),
        ({}, "nothing is pruned"),
        ({"ClearAll": True, "ClearParams": True}, "nothing else can be cleared"),
        ({"Table": "emails", "CFlagsIgnore": [1], "ClearAll": True}, "emails has no cflags"),
        ({"CFlagsIgnore": [-1], "ClearAll": True}, "expected bit masks from 0"),
        ({"Table": "emails", "ClearParams": True}, "emails has no params"),
        ({"Table": "emails", "Fields": [{"Id": "sid", "DestParamHash": "s"}]}, "emails has no params"),
        ({"Fields": [{"Id": "ipp"}]}, "events has no column 'ipp'; ip?"),
        ({"Fields": [{"Id": "params"}]}, "params is emptied by ClearParams"),
        ({"Fields": [{"Id": "eid"}]}, "eid says which row of events it is"),
        ({"Fields": [{"Id": "created_at"}]}, "created_at says which row"),
        ({"Fields": [{"Id": "oid"}]}, "oid says which row"),
        ({"Table": "agreed", "Fields": [{"Id": "vid"}]}, "vid says which row of agreed it is"),
        ({"Fields": [{"Id": "os", "Default": 5}]}, "expected what a column of the kind text holds"),
        ({"Fields": [{"Id": "ver", "Default": 2**31}]}, "expected what a column of the kind int32 holds"),
        ({"Fields": [{"Id": "vid", "Default": "me"}]}, "expected what a column of the kind uuid holds"),
        ({"Fields": [{"Id": "targets", "Default": "{}"}]}, "expected what a column of the kind json holds"),
        ({"Fields": [{"Id": "os", "DestParamHash": "a.b"}]}, "expected a key of letters, digits and _"),
        ({"Fields": [{"Id": "os", "DestParamHash": "'); --"}]}, "expected a key of letters"),
    ],
    ids=str,
)
def test_what_cannot_be_pruned_is_named(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    (line,) = problems(tmp_path, **entry)
    assert "Notify[0].Prune[0]" in line
    assert said in line


@pytest.mark.parametrize("view", sorted(VIEWS.keys() - CATALOGUE.keys()))
def test_every_view_is_refused_with_the_table_to_name(tmp_path: Path, view: str) -> None:
    (line,) = problems(tmp_path, Table=view, ClearAll=True)
    assert line.rpartition(" ")[2] in CATALOGUE


def test_a_store_that_is_off_is_not_judged(tmp_path: Path) -> None:
    off = {**DUCKDB, "Name": "off", "Skip": True, "Prune": [{"Table": "sessions", "TTL": 60}]}
    config_of(tmp_path, {"Notify": [DUCKDB, off]})


SCALARS = st.one_of(st.text(max_size=5), st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.one_of(st.sampled_from(sorted({*CATALOGUE, *VIEWS})), SCALARS),
    ttl=st.one_of(st.just("90d"), SCALARS),
    cflags=st.one_of(st.lists(SCALARS, max_size=2), SCALARS),
    column=st.one_of(st.sampled_from(("vid", "ip", "lat", "targets", "is_new", "params")), SCALARS),
    default=SCALARS,
    key=SCALARS,
)
def test_anything_is_either_a_rule_or_an_error_that_names_its_place(tmp_path: Path, **given: Any) -> None:
    field = {"Id": given["column"], "Default": given["default"], "DestParamHash": given["key"]}
    entry = {"Table": given["table"], "TTL": given["ttl"], "CFlagsIgnore": given["cflags"], "Fields": [field]}
    try:
        config = load_data(tmp_path, {"Notify": [{**DUCKDB, "Prune": [entry]}]}).config
    except ConfigError as error:
        assert all("Notify[0].Prune[0]" in line for line in str(error).splitlines())
        return
    (rule,) = (rule for rule in retention_policy(config).rules(config.sinks[0].name, 2e9) if rule.emptying)
    assert rule.table.name == given["table"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"PruneOldData": True}, ["has no effect without DataRetentionDays", "by --prune only"]),
        ({"DataRetentionDays": 9}, ["has no effect: PruneOldData is false"]),
        ({"PruneOldData": True, "DataRetentionDays": 9}, ["by --prune only"]),
        ({"PruneOldData": True, "DataRetentionDays": 9, "Privacy": {"PruneEvery": "24h"}}, []),
        ({"PruneLogsTTL": "7d", "PruneLimit": 5, "PruneUpdateConfig": True}, []),
    ],
    ids=str,
)
def test_what_has_no_effect_is_warned_of(tmp_path: Path, keys: dict[str, Any], said: list[str]) -> None:
    lines = warnings_of(tmp_path, keys)
    assert len(lines) == len(said)
    assert all(words in line for words, line in zip(said, lines, strict=True))


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86_400.0), (90, 90.0), ("", None)])
def test_how_often_it_prunes_by_itself(tmp_path: Path, text: Any, seconds: float | None) -> None:
    assert config_of(tmp_path, {"Privacy": {"PruneEvery": text}}).privacy.prune_every == seconds


@pytest.mark.parametrize("text", ["0s", 0, -1, "soon", True, []], ids=str)
def test_a_period_that_is_none(tmp_path: Path, text: Any) -> None:
    (line,) = errors_of(tmp_path, {"Notify": [DUCKDB], "Privacy": {"PruneEvery": text}})
    assert "Privacy.PruneEvery" in line
