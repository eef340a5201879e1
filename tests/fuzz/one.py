"""Look for bytes that break one parser's promise: `python -m tests.fuzz.one NAME FOLDER… -option=…`.

Coverage-guided by atheris, which is installed by `make fuzz` only.
"""

import importlib
import sys
from typing import Any


def main() -> None:
    """Never returns: libFuzzer ends the process, with a code other than 0 when the promise was broken."""
    name, *options = sys.argv[1:]
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["tracker"]):
        parsers = importlib.import_module("tests.fuzz.parsers")
    atheris.Setup([sys.argv[0], *options], parsers.PARSERS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
