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
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.support.server import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COPIED = (
    "tracker",
    "schema",
    "config.json",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "requirements-dev.lock",
    "README.md",
)


def blocks() -> list[str]:
    """Every shell block of the README, in order."""
    return re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that shares only the virtual environment, so that its data is its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture(scope="module")
def port(checkout: Path) -> Iterator[int]:
    """`make run` in that copy, on a free port."""
    if not (ROOT / ".venv" / ".installed").exists():
        pytest.skip("the project was not installed by `make install`")
    number = free_port()
    process = subprocess.Popen(
        ["make", "--assume-old=install", "run"],  # else a newer pyproject.toml would install this copy
        cwd=checkout,
        env={**os.environ, "TRACKER_PROXYEXCEPTHTTP": f"127.0.0.1:{number}"},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{number}/readyz", timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield number
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.strip().splitlines()[0][:60])
def test_a_command_of_the_readme_runs(checkout: Path, port: int, block: str) -> None:
    script = "set -euo pipefail\n" + block.replace("127.0.0.1:8880", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-c", script], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_event_of_the_readme_is_found_by_its_question(checkout: Path, port: int) -> None:
    question = "SELECT count(*) AS n FROM events WHERE ename = 'page_view' AND params->>'SKU' = 'Shoe-42'"
    for block in blocks()[:2]:
        test_a_command_of_the_readme_runs(checkout, port, block)
    command = [".venv/bin/python", "-m", "tracker", "sql", "--csv", question]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert int(done.stdout.split()[1]) >= 1
