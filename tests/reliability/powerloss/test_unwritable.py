"""A spool folder that cannot be written when the server starts: it says so and ends."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.processes import free_port
from tests.support.preload import Disk
from tests.support.server import ROOT, write_config


def _start(folder: Path, environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    config = write_config(folder, free_port())
    command = [sys.executable, "-m", "tracker", str(config)]
    return subprocess.run(
        command,
        env={**os.environ, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _assert_said(done: "subprocess.CompletedProcess[str]", folder: Path, why: str) -> None:
    assert done.returncode == 1
    assert f"tracker: the spool {folder}/data/spool/spool.db cannot be written: {why}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_spool_folder_without_permission_stops_the_start_with_a_message(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "data", tmp_path / "disk", is_recording=False)
    environ = disk.environ()
    disk.fail("open EACCES spool/")
    _assert_said(_start(tmp_path, environ), tmp_path, "Permission denied")
    assert disk.hits == ["open EACCES spool.db"]


def test_a_disk_that_cannot_sync_stops_the_start_with_a_message(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "data", tmp_path / "disk", is_recording=False)
    environ = disk.environ()
    disk.fail("sync EIO spool/")
    done = _start(tmp_path, environ)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"tracker: the spool {tmp_path}/data/spool/spool.db cannot be opened" in done.stderr
    assert disk.hits


def test_a_spool_below_a_file_stops_the_start_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file")
    _assert_said(_start(tmp_path, {}), tmp_path, "Not a directory")
