"""The library of tests/support/preload/: compiled when it is first needed, loaded before a server's libc.

It records what a process does to its files, and makes its disk fail while a file says so. What the records
mean is told by `tests.reliability.powerloss`.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.services import needed

SOURCES = Path(__file__).with_name("preload")


def library() -> Path:
    """The compiled library, made once for each content of its source. Skips the test without a compiler."""
    compiler = shutil.which("cc") or needed("a C compiler (cc)")
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(SOURCES.iterdir()))).hexdigest()[
        :16
    ]
    made = Path(tempfile.gettempdir()) / f"tracker-disk-{os.getuid()}-{digest}.so"
    if not made.exists():
        new = made.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", new, SOURCES / "disk.c", "-ldl", "-lpthread"],
            check=True,
        )
        new.replace(made)
    return made


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of a server whose data lies in `data`; its own files are kept in `notes`, beside the data."""

    data: Path
    notes: Path
    is_recording: bool = True

    def environ(self) -> Mapping[str, str]:
        """What the server must be started with. Makes the folders."""
        self.data.mkdir(exist_ok=True)
        self.notes.mkdir(exist_ok=True)
        log = {"DISK_LOG": str(self.notes)} if self.is_recording else {}
        faults = {"DISK_FOLDER": str(self.data), "DISK_FAULTS": str(self._faults)}
        return {"LD_PRELOAD": str(library()), **faults, **log}

    @property
    def _faults(self) -> Path:
        return self.notes / "faults"

    def fail(self, *faults: str) -> None:
        """From now on these calls fail, and no others: "sync EIO spool.db-wal", "open EROFS data/"."""
        new = self.notes / "faults.new"
        new.write_text("".join(f"{fault}\n" for fault in faults), encoding="utf-8")
        new.replace(self._faults)

    @property
    def hits(self) -> list[str]:
        """`call error file` for each call that failed so far."""
        hit = self.notes / "faults.hit"
        return hit.read_text(encoding="utf-8").splitlines() if hit.exists() else []
