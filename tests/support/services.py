"""Parts that a machine may lack: a test without one is skipped, or fails where all of them are wanted."""

import os
from typing import NoReturn

import pytest

REQUIRE = "REQUIRE_SERVICES"
"""Set where every part must be there, so that nothing is skipped unseen."""


def needed(what: str) -> NoReturn:
    """End the test: it needs this, and it is not here. Skips it, or fails it with $REQUIRE_SERVICES."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{what}: needed, and not here")
    pytest.skip(f"{what}: needed, and not here")
