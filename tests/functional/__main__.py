"""`python -m tests.functional all [--url http://127.0.0.1:8880] [--config config.json]`: one line each."""

import argparse
import sys
from pathlib import Path

from tests.functional.checks import CHECKS
from tests.functional.site import Failed, Site


def main() -> int:
    """Run what is asked for; 0 when all of it is so."""
    parser = argparse.ArgumentParser(prog="tests.functional", description=__doc__)
    parser.add_argument("name", choices=(*CHECKS, "all"))
    parser.add_argument("--url", default="http://127.0.0.1:8880")
    parser.add_argument("--config", type=Path, default=Path("config.json"), help="the running server's")
    asked = parser.parse_args()
    site = Site(asked.url.rstrip("/"), asked.config)
    names = CHECKS if asked.name == "all" else (asked.name,)
    ended = [_run(name, site) for name in names]
    return 0 if all(ended) else 1


def _run(name: str, site: Site) -> bool:
    try:
        CHECKS[name](site)
    except Failed as problem:
        print(f"FAILED {name}: {problem}", file=sys.stderr)
        return False
    print(f"ok     {name}: {(CHECKS[name].__doc__ or '').splitlines()[0]}")
    return True


if __name__ == "__main__":
    sys.exit(main())
