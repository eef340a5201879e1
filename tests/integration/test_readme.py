"""The README's words are true: its commands run, and its tables name what exists."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.support.server import ROOT
from tests.support.services import needed

README = (ROOT / "README.md").read_text(encoding="utf-8")
COPIED = (
    "tracker",
    "schema",
    "config.json",
    "config.clickhouse.json",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "requirements-clickhouse.lock",
    "requirements-dev.lock",
    "README.md",
)


def blocks(is_of_clickhouse: bool = False) -> list[str]:
    """The shell blocks of the README in order: those of its section on ClickHouse, or all others."""
    sections = re.split(r"^## ", README, flags=re.MULTILINE)
    chosen = [text for text in sections if text.startswith("ClickHouse\n") == is_of_clickhouse]
    return [
        block
        for text in chosen
        for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    ]


def copied(folder: Path) -> Path:
    """A copy of the project that shares only the virtual environment, so that its data is its own."""
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for the server of `make run` and all commands but ClickHouse's."""
    return copied(tmp_path_factory.mktemp("checkout"))


@contextmanager
def made_to_run(checkout: Path, config: str) -> Iterator[int]:
    """`make run` in that copy, on a free port."""
    if not (ROOT / ".venv" / ".installed").exists():
        needed("the project as `make install` installs it")
    number = free_port()
    process = subprocess.Popen(
        # else a newer pyproject.toml would install this copy
        ["make", "--assume-old=install", "run", f"CONFIG={config}"],
        cwd=checkout,
        env={**os.environ, "TRACKER_PROXYEXCEPTHTTP": f"127.0.0.1:{number}"},
        start_new_session=True,
    )
    try:
        wait_until_ready(number)
        yield number
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def port(checkout: Path) -> Iterator[int]:
    """Where the server of `make run` listens."""
    with made_to_run(checkout, "config.json") as number:
        yield number


def run_block(checkout: Path, port: int, block: str) -> None:
    script = "set -euo pipefail\n" + block.replace("127.0.0.1:8880", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-c", script], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.strip().splitlines()[0][:60])
def test_a_command_of_the_readme_runs(checkout: Path, port: int, block: str) -> None:
    run_block(checkout, port, block)


@pytest.mark.long
def test_the_commands_about_clickhouse_run_with_its_engine_in_the_server(tmp_path: Path) -> None:
    told = blocks(is_of_clickhouse=True)
    assert told
    with made_to_run(copied(tmp_path), "config.clickhouse.json") as number:
        for block in told:
            run_block(tmp_path, number, block)


def test_the_first_event_of_the_readme_is_found_by_its_question(checkout: Path, port: int) -> None:
    question = "SELECT count(*) AS n FROM events WHERE ename = 'page_view' AND params->>'SKU' = 'Shoe-42'"
    for block in blocks()[:2]:
        run_block(checkout, port, block)
    command = [".venv/bin/python", "-m", "tracker", "sql", "--csv", question]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert int(done.stdout.split()[1]) >= 1
