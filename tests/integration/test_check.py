"""`--check` and `sql` on a folder in which no server runs: real spool, real DuckDB."""

import json
from pathlib import Path

from tests.support.typed import Ending, typed_here
from tracker.web.control_socket import bind


def check(folder: Path) -> Ending:
    return typed_here("--check", str(folder / "config.json"))


def sql(folder: Path, *arguments: str) -> Ending:
    return typed_here("sql", "--config", str(folder / "config.json"), *arguments)


def configured(folder: Path) -> Path:
    (folder / "config.json").write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
    return folder


def test_a_configuration_with_which_a_server_could_start_is_ok(tmp_path: Path) -> None:
    done = check(configured(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["OK:", "configuration"],
        ["OK:", "spool"],
        ["OK:", "sink"],
    ]


def test_a_store_that_cannot_be_opened_is_named_and_ends_with_1(tmp_path: Path) -> None:
    (configured(tmp_path) / "data").mkdir()
    (tmp_path / "data" / "tracker.duckdb").write_text("not a database", encoding="utf-8")
    done = check(tmp_path)
    assert done.code == 1
    assert done.err.startswith("tracker: sink duckdb:data/tracker.duckdb: ")
    assert "OK: spool" in done.out


def test_a_running_server_keeps_its_files_to_itself(tmp_path: Path) -> None:
    with bind(configured(tmp_path) / "data" / "tracker.sock") as listener:
        listener.listen()
        done = check(tmp_path)
    assert done.code == 0
    assert "a server runs" in done.out
    assert not (tmp_path / "data" / "spool").exists()


def test_the_file_is_asked_when_no_server_runs(tmp_path: Path) -> None:
    check(configured(tmp_path))
    done = sql(tmp_path, "--json", "SELECT count(*) AS n, 1.5 AS x FROM events")
    assert done.err == ""
    assert json.loads(done.out) == [{"n": 0, "x": "1.5"}]


def test_a_question_to_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = sql(configured(tmp_path), "SELECT 1")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert not (tmp_path / "data").exists()


def test_a_question_that_is_refused_or_wrong_ends_with_1_and_no_traceback(tmp_path: Path) -> None:
    check(configured(tmp_path))
    for question in ("DELETE FROM events", "SELECT nothing FROM events", "SELECT 1; SELECT 2", "selec"):
        done = sql(tmp_path, question)
        assert done.code == 1
        assert done.err.startswith("tracker: ")
        assert "Traceback" not in done.err
