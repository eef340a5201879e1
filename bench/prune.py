"""`python -m bench.prune`: old rows are pruned while half of the maximal load goes on.

A store is filled with old rows (1,000,000), the server started on it and loaded at half of what it takes at
most; then `--prune` deletes or empties them. Printed: the requests that were refused, the latency before and
meanwhile, how far delivery fell behind, and what the prune took.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import uuid_utils

from bench.load import Outcome
from bench.payloads import event
from bench.processes import load, resident_bytes, tracker
from tracker.events import Batch
from tracker.sinks.registry import SinkSettings, make_sink

PIECE_ROWS = 20_000
WINDOW_SECONDS = 5.0
"""Of one measurement of the load."""
OLD_DAYS = 90
"""Old rows lie in the three months before this age."""
STORES: dict[str, dict[str, Any]] = {
    "duckdb": {"Service": "duckdb", "Context": "data/bench.duckdb"},
    "clickhouse": {"Service": "clickhouse", "Hosts": ["embedded"], "Context": "data/clickhouse"},
}
RULES: dict[str, dict[str, Any]] = {
    "delete": {"ClearAll": True},
    "empty": {"ClearParams": True, "Fields": [{"Id": "iphash", "DestParamHash": "ip_was"}, {"Id": "vid"}]},
}


@dataclass
class Seen:
    """What was seen while the load went on."""

    outcomes: list[Outcome] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    """Of the oldest row that waited for the store, in seconds."""
    bytes: list[int] = field(default_factory=list)
    """Resident memory of the server."""

    @property
    def refused(self) -> int:
        """Requests that were not answered 2xx."""
        return sum(one.refused for one in self.outcomes)

    def __str__(self) -> str:
        p99 = sorted(one.p99_ms for one in self.outcomes)
        answered = sum(one.answered for one in self.outcomes)
        return (
            f"{answered:,} answered, {self.refused} refused; "
            f"p99 {p99[len(p99) // 2]:.1f} ms (median of windows), "
            f"{p99[-1]:.1f} ms (worst); rows waited {max(self.ages, default=0):.1f} s at most; "
            f"{max(self.bytes, default=0) / 2**20:.0f} MiB"
        )


def old_rows(count: int) -> Iterator[bytes]:
    """Lines of events that came long ago, evenly over three months."""
    newest = datetime.now(UTC) - timedelta(days=OLD_DAYS)
    for number in range(count):
        sent = event(number)
        params = {
            **sent.pop("params"),
            "firstPaintMs": sent.pop("firstPaintMs"),
            "kind": sent.pop("referrerKind"),
        }
        at = newest - timedelta(days=90 * number / count)
        row = {
            **{name: value for name, value in sent.items() if name not in ("w", "h")},
            "eid": str(uuid_utils.uuid7()),
            "iphash": f"h{number % 10_000}",
            "params": params,
            "created_at": f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}Z",
        }
        yield orjson.dumps(row)


async def fill(settings: SinkSettings, rows: int) -> None:
    """Store the old rows."""
    sink = make_sink(settings)
    await sink.open()
    lines: list[bytes] = []
    for line in old_rows(rows):
        lines.append(line + b"\n")
        if len(lines) == PIECE_ROWS:
            await sink.write(Batch(str(uuid_utils.uuid7()), "events", len(lines), b"".join(lines)))
            lines = []
    if lines:
        await sink.write(Batch(str(uuid_utils.uuid7()), "events", len(lines), b"".join(lines)))
    await sink.close()


def oldest_age(port: int) -> float:
    """Seconds for which the oldest row has waited."""
    url = f"http://127.0.0.1:{port}/metrics?format=prometheus"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("tracker_oldest_waiting_seconds{")]
    return max((float(line.rpartition(" ")[2]) for line in found), default=0.0)


def watched(port: int, pid: int, rate: float, is_over: threading.Event) -> Seen:
    """Load at this rate until it is over, at least one window."""
    seen = Seen()

    def watch() -> None:
        while not done.wait(0.5):
            with suppress(OSError):
                seen.ages.append(oldest_age(port))
                seen.bytes.append(resident_bytes(pid))

    done = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    while True:
        seen.outcomes.append(load(port, seconds=WINDOW_SECONDS, rate=rate))
        if is_over.is_set():
            break
    done.set()
    watcher.join()
    return seen


def measure(folder: Path, store: str, rule: str, rows: int) -> None:
    """Fill, load, prune and print, for one store and one rule."""
    place = folder / STORES[store]["Context"]
    name = f"{store}:bench"
    asyncio.run(fill(SinkSettings(name, store, str(place), folder / "data" / "fill"), rows))
    prune = {"Table": "events", "TTL": f"{OLD_DAYS - 1}d", **RULES[rule]}
    notify = [{**STORES[store], "Name": name, "Prune": [prune]}]
    with tracker(folder, "power-loss", Notify=notify, PruneLogsSkip=True) as (port, pid):
        load(port, seconds=2.0)
        most = load(port, seconds=3.0).per_second
        time.sleep(5)
        always = threading.Event()
        always.set()
        before = watched(port, pid, most / 2, always)
        over = threading.Event()
        found: list[Seen] = []
        loading = threading.Thread(target=lambda: found.append(watched(port, pid, most / 2, over)))
        loading.start()
        time.sleep(1)
        began = time.monotonic()
        command = [sys.executable, "-m", "tracker", "--prune", "--json", str(folder / "power-loss.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        over.set()
        loading.join()
    if done.returncode:
        raise SystemExit(done.stderr)
    report = json.loads(done.stdout)
    (table,) = report["stores"][0]["tables"]
    print(
        f"{store}, {rule}: {table['pruned']:,} of {rows:,} old rows pruned in {seconds:.1f} s, "
        f"{table['left']} left"
    )
    print(f"  load {most / 2:,.0f}/s, half of {most:,.0f}/s")
    print(f"  before:    {before}")
    print(f"  meanwhile: {found[0]}", flush=True)


def main() -> None:
    """Measure what was asked for; fails when a request was refused or an old row is left."""
    parser = argparse.ArgumentParser(prog="python -m bench.prune", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--store", choices=sorted(STORES), action="append", help="may be repeated")
    parser.add_argument("--rule", choices=sorted(RULES), action="append", help="may be repeated")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tracker-bench-", dir=Path.cwd()) as folder:
        for store in chosen.store or STORES:
            for rule in chosen.rule or RULES:
                own = Path(folder) / f"{store}-{rule}"
                (own / "data").mkdir(parents=True)
                measure(own, store, rule, chosen.rows)


if __name__ == "__main__":
    main()
