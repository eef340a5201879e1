"""`--check` and `sql` on a folder in which no server runs: real spool, real DuckDB, real processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tracker.web.control_socket import bind

ROOT = Path(__file__).parents[2]


def typed(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tracker", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def configured(folder: Path) -> Path:
    (folder / "config.json").write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
    return folder


def test_a_configuration_with_which_a_server_could_start_is_ok(tmp_path: Path) -> None:
    done = typed(configured(tmp_path), "--check", "config.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["OK:", "configuration"],
        ["OK:", "spool"],
        ["OK:", "sink"],
    ]


def test_a_store_that_cannot_be_opened_is_named_and_ends_with_1(tmp_path: Path) -> None:
    (configured(tmp_path) / "data").mkdir()
    (tmp_path / "data" / "tracker.duckdb").write_text("not a database", encoding="utf-8")
    done = typed(tmp_path, "--check")
    assert done.returncode == 1
    assert done.stderr.startswith("tracker: sink duckdb:data/tracker.duckdb: ")
    assert "OK: spool" in done.stdout


def test_a_running_server_keeps_its_files_to_itself(tmp_path: Path) -> None:
    with bind(configured(tmp_path) / "data" / "tracker.sock") as listener:
        listener.listen()
        done = typed(tmp_path, "--check")
    assert done.returncode == 0
    assert "a server runs" in done.stdout
    assert not (tmp_path / "data" / "spool").exists()


def test_the_file_is_asked_when_no_server_runs(tmp_path: Path) -> None:
    typed(configured(tmp_path), "--check")
    done = typed(tmp_path, "sql", "--json", "SELECT count(*) AS n, 1.5 AS x FROM events")
    assert done.stderr == ""
    assert json.loads(done.stdout) == [{"n": 0, "x": "1.5"}]


def test_a_question_to_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = typed(configured(tmp_path), "sql", "SELECT 1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_question_that_is_refused_or_wrong_ends_with_1_and_no_traceback(tmp_path: Path) -> None:
    typed(configured(tmp_path), "--check")
    for sql in ("DELETE FROM events", "SELECT nothing FROM events", "SELECT 1; SELECT 2", "selec"):
        done = typed(tmp_path, "sql", sql)
        assert done.returncode == 1
        assert done.stderr.startswith("tracker: ")
        assert "Traceback" not in done.stderr
