"""`python -m tests.reliability`: campaigns of kills until there were enough kills and acknowledged events.

Prints the seed it began with, a line for each campaign, and what all of them came to. Exit code 1 when
anything was lost, doubled, altered or made up; the folder with everything is kept then.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.reliability.campaign import Campaign, Report
from tests.reliability.stores import STORES

KILLS_A_CAMPAIGN = 100
BATCH_ROWS = 150


def main() -> int:
    """Run as many campaigns as were asked for."""
    typed = _arguments()
    print(f"seed {typed.seed}", flush=True)
    started, number, reports = time.monotonic(), 0, list[Report]()
    while _kills(reports) < typed.kills or _events(reports) < typed.events:
        kills = min(KILLS_A_CAMPAIGN, max(typed.kills - _kills(reports), 1))
        folder = Path(tempfile.mkdtemp(prefix="campaign-"))
        reports.append(_campaign(folder, typed.seed + number, typed.service, kills))
        if not reports[-1].verdict.is_clean:
            print(f"everything is kept in {folder}\n{reports[-1].verdict}", flush=True)
            break
        shutil.rmtree(folder)
        number += 1
    return _sum_up(reports, time.monotonic() - started)


def _campaign(folder: Path, seed: int, service: str, kills: int) -> Report:
    report = Campaign(folder, seed, service=service, batch_rows=BATCH_ROWS).run(kills)
    print(report, flush=True)
    return report


def _sum_up(reports: list[Report], seconds: float) -> int:
    is_clean = all(report.verdict.is_clean for report in reports)
    print(
        f"{_kills(reports)} kills, {_events(reports):,} acknowledged events in {seconds / 60:.0f} minutes:"
        f" {'nothing' if is_clean else 'SOMETHING'} lost, doubled, altered or made up"
    )
    return 0 if is_clean else 1


def _kills(reports: list[Report]) -> int:
    return sum(report.kills.total() for report in reports)


def _events(reports: list[Report]) -> int:
    return sum(report.verdict.acknowledged for report in reports)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="at least so many, default 1000")
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="acknowledged at least, default 1,000,000"
    )
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().getrandbits(32), help="default: a fresh one"
    )
    parser.add_argument(
        "--service", choices=sorted(STORES), default="duckdb", help="the store, default duckdb"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
