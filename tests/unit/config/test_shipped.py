"""The configuration file that comes with the project."""

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.config import load
from tracker.config.keys import names
from tracker.config.model import Config
from tracker.errors import ConfigError

SHIPPED = Path(__file__).parents[3] / "config.json"
TEXT = SHIPPED.read_text()

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["10s", "8MiB", "duckdb", "hybrid", "data/x", ":8880", "\ud800", "a\0b", -1, 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted(names(Config))) | st.text(max_size=10)


def test_it_needs_nothing_else_and_says_nothing() -> None:
    loaded = load(SHIPPED, {})
    assert loaded.warnings == ()
    assert str(loaded.config.listen) == "127.0.0.1:8880"
    assert [sink.context for sink in loaded.config.sinks] == [str(SHIPPED.parent / "data/tracker.duckdb")]
    assert loaded.config.batching_for("events", loaded.config.sinks[0]).max_batch_time_seconds == 2
    assert loaded.config.use_remove_ip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys or positions."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for part, item in parts for found in [(value, part), *places(item)]]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_changed_in_it_loads_or_is_a_config_error(tmp_path: Path, data: st.DataObject) -> None:
    changed = copy.deepcopy(json.loads(TEXT))
    for _ in range(data.draw(st.integers(1, 3))):
        container, part = data.draw(st.sampled_from(places(changed)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            part = data.draw(KEYS)
        container[part] = data.draw(VALUES)
    assert_loads_or_tells(tmp_path, json.dumps(changed).encode())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(TEXT)), length=st.integers(0, 20), new=st.binary(max_size=6))
def test_whatever_bytes_are_changed_in_it_loads_or_is_a_config_error(
    tmp_path: Path, at: int, length: int, new: bytes
) -> None:
    assert_loads_or_tells(tmp_path, TEXT.encode()[:at] + new + TEXT.encode()[at + length :])


def assert_loads_or_tells(folder: Path, content: bytes) -> None:
    file = folder / "config.json"
    file.write_bytes(content)
    try:
        load(file, {})
    except ConfigError as error:
        str(error).encode()  # a terminal can show it
        assert all(line.startswith(str(file)) for line in str(error).split("\n"))
