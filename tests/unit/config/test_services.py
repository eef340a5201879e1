"""Keys of one store that delivery goes by."""

from pathlib import Path

import pytest

from tests.unit.config.support import DUCKDB, config_of, errors_of


@pytest.mark.parametrize(("given", "seconds"), [({}, 60.0), ({"WriteTimeout": "500ms"}, 0.5)])
def test_each_store_has_its_own_patience_with_a_write(
    tmp_path: Path, given: dict[str, str], seconds: float
) -> None:
    (sink,) = config_of(tmp_path, {"Notify": [{**DUCKDB, **given}]}).sinks
    assert sink.write_timeout_seconds == seconds


def test_no_time_at_all_is_no_patience(tmp_path: Path) -> None:
    (error,) = errors_of(tmp_path, {"Notify": [{**DUCKDB, "WriteTimeout": 0}]})
    assert "Notify[0].WriteTimeout" in error
