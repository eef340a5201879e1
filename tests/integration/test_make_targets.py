"""The make targets by the names that people know: there, explained, and honest about what a machine lacks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.checks import CHECKS
from tests.support.server import ROOT

NAMES = (
    *("build", "run", "clean", "deps", "fmt", "lint", "test", "benchmark", "help", "info", "status"),
    *(f"test-{name}" for name in ("all", "single", "cluster", "db-writes")),
    *(f"test-functional-{name}" for name in (*CHECKS, "all")),
    *(f"docker-{name}" for name in ("build", "run", "stop", "clean", "logs", "shell", "clickhouse-shell")),
    *(f"docker-{name}" for name in ("verify-tables", "test-events", "test-messaging", "test-all")),
    *("docker-rebuild-test", "docker-test", "schema-load", "schema-verify"),
    *(f"cluster-{name}" for name in ("start", "stop", "status", "test", "logs", "clean")),
    *("clickhouse-start", "clickhouse-stop", "clickhouse-status", "db-console", "db-reset", "db-clean"),
    "db-admin",
)
TOOLS = ("sh", "bash", "make", "awk", "env", "dirname", "python3", "nice")


def make(tools: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """`make …` on a machine that has these tools only."""
    return subprocess.run(
        ["make", "--assume-old=install", f"PYTHON={sys.executable}", *words],
        cwd=ROOT, env={**os.environ, "PATH": str(tools)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs without Docker and ClickHouse."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    return folder


def test_every_name_is_a_target_and_help_explains_it(tools: Path) -> None:
    explained = re.findall(r"^  ([a-z0-9-]+) +\S", make(tools, "help").stdout, re.MULTILINE)
    assert [name for name in NAMES if name not in explained] == []
    assert len(explained) == len(set(explained))


@pytest.mark.parametrize("name", [name for name in NAMES if re.match("docker-(?!test$)", name)])
def test_without_docker_a_docker_target_says_so(tools: Path, name: str) -> None:
    told = make(tools, name)
    assert told.returncode == 2
    lines = [line for line in told.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 2
    assert "No Docker answers here" in lines[0]


@pytest.mark.parametrize("name", ["cluster-start", "clickhouse-start", "db-reset"])
def test_without_docker_and_clickhouse_a_start_says_so(tools: Path, name: str, tmp_path: Path) -> None:
    home = f"--home {tmp_path}/home"
    told = make(tools, name, f"CLUSTER_OPTIONS={home}", f"ONE={tmp_path}/home", "SURE=yes")
    assert told.returncode == 2
    lines = [line for line in told.stderr.splitlines() if not line.startswith(("make", "nothing in"))]
    assert len(lines) == 2
    neither = "Neither Docker (running, with Compose) nor a" if name == "cluster-start" else "No"
    assert lines[0] == f"{neither} `clickhouse` binary on the PATH was found."


@pytest.mark.parametrize("name", ["cluster-clean", "db-clean", "db-reset"])
def test_what_removes_data_asks_first(tools: Path, name: str) -> None:
    told = make(tools, name)
    assert told.returncode == 2
    assert "SURE=yes" in told.stderr


def test_info_says_what_is_there_and_what_is_not(tools: Path) -> None:
    told = make(tools, "info").stdout
    assert "docker: does not answer" in told
    assert "clickhouse: not on the PATH" in told
    assert re.search(r"^tracker \d", told, re.MULTILINE)
