"""Parts that a machine may lack: a test without one is skipped, or fails where all of them are wanted."""

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRE = "REQUIRE_SERVICES"
"""Set where every part must be there, so that nothing is skipped unseen."""


def needed(what: str) -> NoReturn:
    """End the test: it needs this, and it is not here. Skips it, or fails it with $REQUIRE_SERVICES."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{what}: needed, and not here")
    pytest.skip(f"{what}: needed, and not here")


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """What `make` puts at the path it is given: made once in the virtual environment."""
    tools = Path(sys.prefix) / "tools"
    tools.mkdir(exist_ok=True)
    made = tools / name
    with (tools / f".{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(made)
    return made
