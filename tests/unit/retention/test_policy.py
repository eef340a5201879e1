"""What the configuration wants pruned, as rules."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import config_of
from tracker.config.pruning import TIMES as CONFIGURED_TIMES
from tracker.config.pruning import unchangeable
from tracker.retaining import retention_policy
from tracker.retention.policy import STAYING, Policy, Task, ageing, seconds_of, time_text
from tracker.sinks.clickhouse_source import read_source
from tracker.sinks.pruning import TIMES, Rule, time_of
from tracker.sinks.registry import SCHEMA
from tracker.steps.hashes import sha
from tracker.tables import CATALOGUE

NOW = 1_800_000_000.5
DAY = 86_400
ENTRY = {"Service": "duckdb", "Name": "shop"}


def rules_of(tmp_path: Path, *, logs_only: bool = False, **keys: Any) -> tuple[Rule, ...]:
    config = config_of(tmp_path, {"Notify": [ENTRY], **keys})
    return retention_policy(config).rules("shop", NOW, logs_only=logs_only)


def test_without_any_key_only_logs_of_thirty_days_go(tmp_path: Path) -> None:
    (rule,) = rules_of(tmp_path)
    assert (rule.table.name, rule.action, rule.page_rows) == ("logs", "delete", 10_000)
    assert rule.before == time_text(NOW - 30 * DAY)
    assert rule.since == ""


def test_retention_days_need_prune_old_data(tmp_path: Path) -> None:
    quiet = {"PruneLogsSkip": True}
    assert rules_of(tmp_path, DataRetentionDays=365, **quiet) == ()
    assert rules_of(tmp_path, PruneOldData=True, **quiet) == ()
    rules = rules_of(tmp_path, DataRetentionDays=365, PruneOldData=True, **quiet)
    assert [rule.table.name for rule in rules] == list(ageing())
    assert {rule.before for rule in rules} == {time_text(NOW - 365 * DAY)}
    assert {rule.action for rule in rules} == {"delete"}


def test_every_table_is_decided_about() -> None:
    assert STAYING.keys() <= CATALOGUE.keys()
    assert set(ageing()) | STAYING.keys() == set(CATALOGUE)
    for table in ageing():
        assert time_of(CATALOGUE[table]), f"{table} has no time: give it one, or say in STAYING why it stays"


def test_money_and_consent_stay() -> None:
    assert {"payments", "agreed", "agreements", "accounts", "redirects", "jurisdictions"} <= STAYING.keys()
    assert {"events", "logs", "mstore", "emails", "userhosts", "visitor_interests"} <= set(ageing())


def test_logs_only_leaves_everything_else_alone(tmp_path: Path) -> None:
    all_keys: dict[str, Any] = {"DataRetentionDays": 9, "PruneOldData": True}
    assert [rule.table.name for rule in rules_of(tmp_path, logs_only=True, **all_keys)] == ["logs"]
    assert [rule.table.name for rule in rules_of(tmp_path, PruneLogsOnly=True, **all_keys)] == ["logs"]


def test_logs_that_never_age(tmp_path: Path) -> None:
    assert rules_of(tmp_path, PruneLogsTTL=0) == ()
    assert rules_of(tmp_path, PruneLogsSkip=True) == ()


def test_an_entry_becomes_a_rule_of_its_store_alone(tmp_path: Path) -> None:
    entry = {
        "Table": "events",
        "TTL": "90d",
        "PageSize": 77,
        "CFlagsIgnore": [1, 4, 4],
        "ClearParams": True,
        "Fields": [{"Id": "iphash", "DestParamHash": "was"}, {"Id": "os", "Default": "some"}, {"Id": "vp_w"}],
    }
    other = {**ENTRY, "Name": "other", "Context": "other.duckdb"}
    config = config_of(
        tmp_path,
        {"Notify": [{**ENTRY, "Prune": [entry]}, other], "PruneLogsSkip": True, "PrefixPrivateHash": "salt"},
    )
    policy = retention_policy(config)
    assert policy.rules("other", NOW) == ()
    (rule,) = policy.rules("shop", NOW)
    assert (rule.before, rule.page_rows, rule.action) == (time_text(NOW - 90 * DAY), 77, "empty")
    assert rule.keeps_cflags == 5, "masks are OR-ed, not summed"
    assert rule.emptying is not None
    assert [field.value for field in rule.emptying.fields] == ["", "some", 0]
    assert rule.emptying.changed({"iphash": "x", "os": "some", "vp_w": 0, "params": {"a": 1}}) == {
        "iphash": "",
        "params": {"was": sha("saltx")},
    }


def test_what_is_deleted_goes_before_what_is_emptied(tmp_path: Path) -> None:
    empty = {"Table": "events", "TTL": 60, "ClearParams": True}
    delete = {"Table": "payments", "TTL": 60, "ClearAll": True}
    rules = rules_of(tmp_path, Notify=[{**ENTRY, "Prune": [empty, delete]}])
    assert [(rule.table.name, rule.action) for rule in rules] == [
        ("logs", "delete"),
        ("payments", "delete"),
        ("events", "empty"),
    ]


def test_rows_that_are_done_are_left_out(tmp_path: Path) -> None:
    (rule,) = rules_of(tmp_path, PruneSkipToTimestamp=1_700_000_000)
    assert rule.since == "2023-11-14 22:13:20.000"


def test_a_day_is_old_when_all_of_it_is() -> None:
    policy = Policy(tasks={"s": (Task("counters", 5 * DAY),)}, done_before=1_700_000_000)
    (rule,) = policy.rules("s", NOW)
    assert (rule.before_in_column, rule.since_in_column) == ("2027-01-10", "2023-11-14")


@pytest.mark.parametrize("seconds", [0.0, 0.9996, 1_800_000_000.123, 1_999_999_999.9999])
def test_times_are_cut_to_the_millisecond_below(seconds: float) -> None:
    text = time_text(seconds)
    assert seconds_of(text) == int(seconds)
    assert int(text[-3:]) == int(seconds * 1000) % 1000
    assert time_text(-5) == "1970-01-01 00:00:00.000"


def test_no_column_that_orders_rows_can_be_emptied() -> None:
    for name, made in read_source(SCHEMA / "clickhouse").tables.items():
        if name in CATALOGUE:
            told = unchangeable(CATALOGUE[name])
            assert set(made.engine.sorting_columns) <= told, name


def test_configuration_and_stores_judge_by_the_same_columns() -> None:
    assert CONFIGURED_TIMES == TIMES
