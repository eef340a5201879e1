"""What may be typed and how each command line ends, mostly inside this process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.typed import typed_here
from tracker import __version__
from tracker.commands import parsing
from tracker.web import control_send


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def started(line: str) -> "subprocess.CompletedProcess[str]":
    """The same in a process of its own, as a shell starts it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["sh", "-c", line.replace("tracker", f"{sys.executable} -m tracker", 1)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_version_is_the_packages() -> None:
    done = started("tracker --version")
    assert (done.returncode, done.stdout) == (0, f"tracker {__version__}\n")


def test_help_names_every_command_and_flag(tmp_path: Path) -> None:
    told = typed_here("--help").out
    for word in ("sql", "send", "spool", "dead", "status", "schema", "--check", "--print-config", "--set"):
        assert word in told


@pytest.mark.parametrize("command", ["sql", "send", "spool", "dead", "status", "schema"])
def test_every_command_has_help_of_its_own(tmp_path: Path, command: str) -> None:
    done = typed_here(command, "--help")
    assert done.code == 0
    assert "--config" in done.out


@pytest.mark.parametrize("line", [("-logs-only",), ("config.json", "--dry-run"), ("--json",)])
def test_flags_of_pruning_need_prune(tmp_path: Path, line: tuple[str, ...]) -> None:
    done = typed_here(*line)
    assert done.code == 2
    assert "belong to --prune" in done.err


@pytest.mark.parametrize(
    "line",
    [
        ("--nonsense",),
        ("a.json", "b.json"),
        ("sql",),
        ("sql", "--json", "--csv", "SELECT 1"),
        ("sql", "--max-rows", "0", "SELECT 1"),
        ("sql", "--timeout", "soon", "SELECT 1"),
        ("send", "--kind", "payment", "-"),
        ("spool",),
        ("spool", "export"),
        ("spool", "ls", "--file", "x"),
        ("dead", "show", "x"),
        ("dead", "show", "9" * 19),
        ("dead", "replay", "0"),
        ("dead", "export"),
        ("dead", "release", "sink"),
        ("dead", "replay"),
        ("dead", "drop", "1", "--all"),
        ("--set", "novalue"),
    ],
)
def test_what_cannot_be_understood_ends_with_2(tmp_path: Path, line: tuple[str, ...]) -> None:
    done = typed_here(*line)
    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "line",
    [
        ("nowhere.json",),
        ("nowhere.json", "--check"),
        ("--print-config", "nowhere.json"),
        ("sql", "--config", "nowhere.json", "SELECT 1"),
        ("status", "--config", "nowhere.json"),
        ("dead", "--config", "nowhere.json", "ls"),
        ("dead", "ls", "--config", "nowhere.json"),
    ],
)
def test_a_configuration_that_is_not_there_ends_with_78_and_one_line(
    tmp_path: Path, line: tuple[str, ...]
) -> None:
    done = typed_here(*line)
    assert done.code == 78
    assert "nowhere.json" in done.err
    assert len(done.err.splitlines()) == 1


def test_the_configuration_in_force_is_printed_with_its_overrides_and_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"PrefixPrivateHash": "pepper"}', encoding="utf-8")
    done = typed_here("--print-config", "--set", "Spool.Durability=memory")
    assert done.code == 0
    assert '"Durability": "memory"' in done.out
    assert "pepper" not in done.out


def test_an_unknown_key_in_an_override_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    done = typed_here("--print-config", "--set", "Spol.Durability=memory")
    assert done.code == 78
    assert "SPOL" in done.err


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
    assert started("tracker --print-config | true").stderr == ""


def test_the_kinds_that_may_be_typed_are_those_the_server_takes() -> None:
    assert parsing.KINDS == control_send.KINDS


def test_sending_and_asking_for_status_need_a_server(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    for line in (("send", "config.json"), ("status",)):
        done = typed_here(*line)
        assert done.code == 1
        assert "no server runs at" in done.err
        assert len(done.err.splitlines()) == 1
