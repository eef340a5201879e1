"""A real file system of a few MiB, and ways to fill it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.services import needed

MIB = 1024 * 1024


@contextmanager
def small_disk(mib: int = 24) -> Iterator[Path]:
    """A tmpfs of this size, outside of tmp_path: what is mounted there cannot be tidied away.

    Skips where nothing can be mounted; with REQUIRE_SERVICES it fails instead.
    """
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            needed("a small file system of its own (mount)")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the disk but for `leave` bytes; returns the file to remove."""
    rest = folder / "rest"
    stats = os.statvfs(folder)
    with rest.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(stats.f_bavail * stats.f_frsize - leave, 1))
    return rest
