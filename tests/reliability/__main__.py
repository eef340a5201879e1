"""`python -m tests.reliability`: campaigns of kills, store by store, until there were enough of them.

Prints the seed it began with, a line for each campaign, and what all of them came to. Exit code 1 when
anything was lost, doubled, altered or made up; the folder with everything is kept then.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.reliability.campaign import Campaign, Report
from tests.reliability.stores import STORES

KILLS_A_CAMPAIGN = 100
BATCH_ROWS = 150
SHARES: Mapping[str, float] = {"duckdb": 1.0, "clickhouse-embedded": 0.3, "clickhouse-http": 0.3}
"""Of the numbers that are asked for, when every store has its turn."""


def main() -> int:
    """Run as many campaigns as were asked for, on each store."""
    typed = _arguments()
    print(f"seed {typed.seed}", flush=True)
    started, reports = time.monotonic(), list[Report]()
    for store in [typed.store] if typed.store else STORES:
        share = 1.0 if typed.store else SHARES[store]
        found = list[Report]()
        while _is_clean(reports) and not _is_enough(found, typed.kills * share, typed.events * share):
            kills = min(KILLS_A_CAMPAIGN, max(int(typed.kills * share) - _kills(found), 1))
            found.append(_campaign(typed.seed + len(reports), store, kills))
            reports.append(found[-1])
    return _sum_up(reports, time.monotonic() - started)


def _is_clean(reports: list[Report]) -> bool:
    return all(report.verdict.is_clean for report in reports)


def _is_enough(reports: list[Report], kills: float, events: float) -> bool:
    return _kills(reports) >= int(kills) and _events(reports) >= events


def _campaign(seed: int, store: str, kills: int) -> Report:
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    report = Campaign(folder, seed, store=store, batch_rows=BATCH_ROWS).run(kills)
    print(f"{store}, {report}", flush=True)
    if report.verdict.is_clean:
        shutil.rmtree(folder)
    else:
        print(f"everything is kept in {folder}\n{report.verdict}", flush=True)
    return report


def _sum_up(reports: list[Report], seconds: float) -> int:
    is_clean = _is_clean(reports)
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
        "--store", choices=sorted(STORES), help="default: all, those after DuckDB a part of the numbers each"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
