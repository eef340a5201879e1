"""`schema`: what it prints, applies and compares, and how it ends."""

import asyncio
import json
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.support.clickhouse import embedded_engine
from tests.support.typed import Ending, typed_here
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_schema import FOLDER
from tracker.sinks.clickhouse_source import read_source, script
from tracker.sinks.clickhouse_sql import split
from tracker.web.control_socket import bind


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def configured(folder: Path, **clickhouse: object) -> Path:
    services = [{"Service": "clickhouse", **clickhouse}] if clickhouse else [{"Service": "duckdb"}]
    file = folder / "config.json"
    file.write_text(json.dumps({"Notify": services}), encoding="utf-8")
    return file


def embedded(folder: Path, **more: object) -> Path:
    return configured(folder, Hosts=["embedded"], Context=str(folder / "clickhouse"), **more)


def schema(*arguments: str) -> Ending:
    return typed_here("schema", *arguments)


def printed(*arguments: str) -> tuple[str, ...]:
    done = schema(*arguments)
    assert (done.code, done.err) == (0, "")
    return tuple(statement.sql for statement in split(done.out))


def test_printing_needs_no_configuration_and_no_server() -> None:
    source = read_source(FOLDER)
    assert printed("--clickhouse", "cluster") == tuple(script(source, Place("sfpla", "tracker_cluster")))
    one = printed("--clickhouse", "single", "--print")
    synced = ", fsync_after_insert = 1, fsync_part_directory = 1"
    tables = [
        statement for statement in one if "\nSETTINGS non_replicated_deduplication_window = 1000" in statement
    ]
    assert len(tables) == len(source.tables)
    assert all(statement.endswith(synced) for statement in tables)
    assert not any("ON CLUSTER" in statement for statement in one)


def test_database_and_cluster_are_the_configurations(tmp_path: Path) -> None:
    configured(tmp_path, Hosts=["db:8123"], Context="mine", Cluster="ours")
    first, *_ = printed("--clickhouse", "cluster")
    assert first == "CREATE DATABASE IF NOT EXISTS mine ON CLUSTER ours"
    first, *_ = printed("--clickhouse", "cluster", "--cluster-name", "theirs")
    assert first == "CREATE DATABASE IF NOT EXISTS mine ON CLUSTER theirs"
    first, *_ = printed(str(tmp_path / "config.json"), "--clickhouse", "single")
    assert first == "CREATE DATABASE IF NOT EXISTS mine"


@pytest.mark.long
def test_a_database_is_compared_applied_and_compared_again(tmp_path: Path) -> None:
    embedded(tmp_path, TTL={"logs": "30d"})
    before = schema("--clickhouse", "single", "--diff")
    assert before.code == 1
    missing = "tracker: sfpla.events is missing: python -m tracker schema --clickhouse single --apply"
    assert missing in before.err.splitlines()
    for action in ("--apply", "--diff", "--apply"):
        done = schema("--clickhouse", "single", action)
        assert (done.code, done.err) == (0, "")
        assert done.out.endswith("database sfpla: every table is as it must be\n")


async def damage(folder: Path) -> None:
    async with embedded_engine(folder) as engine:
        await engine.command("ALTER TABLE events DROP COLUMN vp_w")
        await engine.command("ALTER TABLE events MODIFY COLUMN lat Float32")


@pytest.mark.long
def test_what_only_a_person_can_mend_stays_and_is_told(tmp_path: Path) -> None:
    assert schema("--config", str(embedded(tmp_path)), "--clickhouse", "single", "--apply").code == 0
    asyncio.run(damage(tmp_path))
    done = schema("--clickhouse", "single", "--apply")
    assert done.code == 1
    assert done.err == (
        "tracker: sfpla.events: column lat is Float32 instead of Float64: "
        "ALTER TABLE sfpla.events MODIFY COLUMN lat Float64\n"
    )


@pytest.mark.parametrize(
    ("arguments", "configuration", "reason"),
    [
        (("single", "--apply"), {}, "Notify has no ClickHouse that is switched on"),
        (
            ("single", "--diff"),
            {"Hosts": ["db"], "Cluster": "c"},
            "its tables are those of --clickhouse cluster",
        ),
        (
            ("cluster", "--diff"),
            {"Hosts": ["embedded"], "Context": "x"},
            "the embedded engine has no cluster",
        ),
    ],
    ids=["none", "a-cluster", "embedded"],
)
def test_what_cannot_be_meant_ends_with_78(
    tmp_path: Path, arguments: tuple[str, ...], configuration: dict[str, object], reason: str
) -> None:
    configured(tmp_path, **configuration)
    done = schema("--clickhouse", *arguments)
    assert (done.code, done.out) == (78, "")
    assert reason in done.err
    assert len(done.err.splitlines()) == 1


def test_a_running_server_keeps_its_embedded_engine_to_itself(tmp_path: Path) -> None:
    embedded(tmp_path)
    with bind(tmp_path / "data" / "tracker.sock") as listener:
        listener.listen()
        done = schema("--clickhouse", "single", "--diff")
    assert done.code == 1
    assert done.err.startswith("tracker: the server that runs has ")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "clickhouse").exists()


def test_a_server_that_does_not_answer_is_named_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    configured(tmp_path, Hosts=[f"127.0.0.1:{port}"])
    done = schema("--clickhouse", "single", "--diff")
    assert done.code == 1
    assert done.err.startswith(f"tracker: 127.0.0.1:{port}: ")
    assert len(done.err.splitlines()) == 1


def test_form_and_action_are_asked_for() -> None:
    assert schema().code == 2
    assert schema("--clickhouse", "both").code == 2
    assert schema("--clickhouse", "single", "--apply", "--diff").code == 2
