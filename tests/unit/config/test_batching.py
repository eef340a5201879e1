"""Which settings a table is batched by."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.support import DUCKDB, config_of
from tracker.config import BatchSettings
from tracker.config.batching import TABLE_DEFAULTS, TABLES
from tracker.tables import CATALOGUE


def settings(folder: Path, table: str, batching: Any, sink: Any = None) -> BatchSettings:
    config = config_of(folder, {"Notify": [sink or DUCKDB], "Batching": batching})
    return config.batching_for(table, config.notify[0])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("events", ("hybrid", 100_000, 10, 100, 2)),
        ("mthreads", ("time", 10_000, 5, 5, 2)),
        ("payments", ("immediate", 1, 0, 1, 1)),
        ("cells", ("hybrid", 200, 4, 3, 3)),
        ("aliases", ("hybrid", 100, 5, 8, 3)),
        ("a table of tomorrow", ("hybrid", 1000, 2, 8, 3)),
    ],
)
def test_a_table_has_the_originals_settings(tmp_path: Path, table: str, expected: tuple[Any, ...]) -> None:
    found = settings(tmp_path, table, {})
    assert expected == (
        found.strategy,
        found.max_batch_size,
        found.max_batch_time_seconds,
        found.max_memory_mb,
        found.priority,
    )


def test_every_table_of_the_catalogue_has_a_name_and_every_one_that_is_written_to_has_settings() -> None:
    assert set(CATALOGUE) - {"accounts", "jurisdictions", "orgs"} <= set(TABLE_DEFAULTS)
    assert {*TABLE_DEFAULTS, *CATALOGUE, "default"} == set(TABLES)
    assert len(TABLE_DEFAULTS) == 37


def test_the_first_place_that_gives_a_value_wins(tmp_path: Path) -> None:
    sink = {**DUCKDB, "MaxBatchSize": 20, "MaxBatchTime": "20s", "MaxMemoryMB": 20}
    default = {"MaxBatchSize": 30, "MaxBatchTime": "30s", "MaxMemoryMB": 30, "Priority": 4, "MaxAge": "1h"}
    found = settings(tmp_path, "logs", {"logs": {"MaxBatchSize": 10}, "default": default}, sink)
    assert found == BatchSettings("hybrid", 10, 20, 20, 3600, 1.0, 4)


def test_the_sinks_settings_do_not_concern_another_sink(tmp_path: Path) -> None:
    config = config_of(tmp_path, {"Notify": [{**DUCKDB, "MaxBatchSize": 20}]})
    assert config.batching_for("events").max_batch_size == 100_000


def test_the_flush_interval_is_the_batch_time_unless_that_is_given(tmp_path: Path) -> None:
    sink = {**DUCKDB, "BatchFlushInterval": "1s"}
    assert settings(tmp_path, "events", {}, sink).max_batch_time_seconds == 1
    assert settings(tmp_path, "events", {}, {**sink, "MaxBatchTime": 0}).max_batch_time_seconds == 0


def test_a_sink_without_batching_is_immediate_unless_a_table_says_otherwise(tmp_path: Path) -> None:
    sink = {**DUCKDB, "BatchingEnabled": False}
    assert settings(tmp_path, "logs", {}, sink).strategy == "immediate"
    assert settings(tmp_path, "logs", {"logs": {"Strategy": "time"}}, sink).strategy == "time"


def test_an_immediate_table_made_hybrid_does_not_keep_batches_of_one_row(tmp_path: Path) -> None:
    found = settings(tmp_path, "payments", {"payments": {"Strategy": "hybrid"}})
    assert found == BatchSettings(strategy="hybrid", priority=1)
