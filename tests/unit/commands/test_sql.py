"""Which store a question goes to, and stores that are asked while no server runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from tests.support.batches import batch, event
from tests.support.clickhouse import clickhouse_settings
from tests.support.typed import Ending, typed
from tracker.commands.settings import load_config, store_to_ask
from tracker.errors import ConfigError
from tracker.sinks.registry import make_sink

TWO = [{"Service": "duckdb", "Name": "one"}, {"Service": "duckdb", "Name": "two", "Context": "b.duckdb"}]
SERVER = {"Service": "clickhouse", "Name": "far", "Hosts": ["127.0.0.1:8123"]}


def configured(folder: Path, *notify: dict[str, Any]) -> Path:
    path = folder / "config.json"
    sections = {
        "Notify": notify,
        "Spool": {"Path": str(folder / "spool")},
        "Admin": {"Socket": str(folder / "sock")},
    }
    path.write_text(json.dumps(sections), encoding="utf-8")
    return path


def test_a_store_is_known_by_its_name_or_by_its_service_when_there_is_one_of_it(tmp_path: Path) -> None:
    config = load_config(configured(tmp_path, *TWO, SERVER))
    for typed_name, found in {"": "one", "two": "two", "far": "far", "clickhouse": "far"}.items():
        assert store_to_ask(config, typed_name).name == found
    for typed_name, reason in {
        "duckdb": "several stores are called duckdb",
        "x": "no store is called x",
    }.items():
        with pytest.raises(ConfigError, match=f"{reason}; there are: one, two, far"):
            store_to_ask(config, typed_name)


def test_stores_that_are_switched_off_are_not_asked(tmp_path: Path) -> None:
    config = load_config(configured(tmp_path, {**TWO[0], "Skip": True}, SERVER))
    assert store_to_ask(config, "").name == "far"
    with pytest.raises(ConfigError, match="no store in Notify can answer"):
        store_to_ask(load_config(configured(tmp_path, {**SERVER, "Skip": True})), "")


async def test_an_embedded_clickhouse_is_asked_while_no_server_runs(tmp_path: Path) -> None:
    settings = clickhouse_settings(tmp_path)
    sink = make_sink(settings)
    await sink.open()
    await sink.write(batch([event(ename="kept")]))
    await sink.close()
    configured(
        tmp_path, TWO[0], {"Service": "clickhouse", "Hosts": ["embedded"], "Context": settings.context}
    )
    asked = await typed(tmp_path, "sql", "--store", "clickhouse", "--csv", "SELECT ename FROM events")
    assert asked == Ending(0, "ename\nkept\n", "")


async def test_a_store_that_has_no_folder_yet_is_one_clear_line(tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    configured(tmp_path, {"Service": "clickhouse", "Hosts": ["embedded"], "Context": none})
    asked = await typed(tmp_path, "sql", "SELECT 1")
    assert asked == Ending(1, "", f"tracker: {none}: no such folder; nothing has been stored there yet\n")


async def test_a_server_that_is_away_is_one_clear_line(tmp_path: Path) -> None:
    port = free_port()
    configured(tmp_path, {**SERVER, "Hosts": [f"127.0.0.1:{port}"]})
    asked = await typed(tmp_path, "sql", "SELECT 1")
    assert asked.code == 1
    assert asked.err.startswith(f"tracker: the store cannot be reached; 127.0.0.1:{port}: ")
    assert asked.err.count("\n") == 1
