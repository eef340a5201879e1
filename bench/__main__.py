"""`python -m bench`: every figure the project promises, measured in one run and printed as ratios.

The server has one core, the load another; what is compared is measured in turn within each round, and the
median of the rounds is quoted. `--quick` shortens everything for a glance; `--only NAME` picks one part.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import clickhouse, drain, links, pace, views
from bench.load import Outcome
from bench.payloads import BATCH
from bench.processes import bare, load, resident_bytes, tracker

MIB = 2**20
REST_SECONDS = 2.5
"""What was taken is delivered before the next load is measured."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes."""

    rounds: int
    seconds: float
    memory_seconds: float
    drain_rows: int
    clickhouse_rows: int
    view_rows: int
    folder: Path


def report(what: str, seen: str, wanted: str) -> None:
    """One line of the result."""
    print(f"{what:<52} {seen:<40} {wanted}", flush=True)


def spread(values: list[float], form: str = ".2f") -> str:
    """`median (minimum-maximum)`."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def single(plan: Plan) -> None:
    """Single events, in turn: the bare handler, then each durability, in every round."""
    rates: dict[str, list[float]] = {}
    with (
        bare(plan.folder) as yardstick,
        tracker(plan.folder / "a", "power-loss") as safe,
        tracker(plan.folder / "b", "process-crash") as crash,
        tracker(plan.folder / "c", "memory") as volatile,
    ):
        ports = {"bare": yardstick, "power-loss": safe[0], "process-crash": crash[0], "memory": volatile[0]}
        for name, port in ports.items():
            load(port, seconds=plan.seconds)
            rates[name] = []
        for _ in range(plan.rounds):
            for name, port in ports.items():
                rates[name].append(load(port, seconds=plan.seconds).per_second)
                time.sleep(REST_SECONDS)
    report("bare handler, single events/s", spread(rates["bare"], ",.0f"), "")
    for name in ("power-loss", "process-crash", "memory"):
        ratio = [ours / theirs for ours, theirs in zip(rates[name], rates["bare"], strict=True)]
        wanted = ">= 0.5, goal 0.6" if name == "power-loss" else ""
        report(f"single events/s, {name}", spread(rates[name], ",.0f"), "")
        report(f"  ratio to bare, {name}", spread(ratio), wanted)
    for cheaper, wanted in (("process-crash", ""), ("memory", ">= 0.8")):
        kept = [a / b for a, b in zip(rates["power-loss"], rates[cheaper], strict=True)]
        report(f"  power-loss / {cheaper}", spread(kept), wanted)


def batches(plan: Plan) -> None:
    """Requests of a hundred events."""
    with bare(plan.folder) as yardstick, tracker(plan.folder / "d", "power-loss") as (port, _):
        ours: list[float] = []
        theirs: list[float] = []
        load(port, form="batch", seconds=1, connections=8)
        for _ in range(plan.rounds):
            theirs.append(
                load(yardstick, form="batch", seconds=plan.seconds, connections=8).per_second * BATCH
            )
            ours.append(load(port, form="batch", seconds=plan.seconds, connections=8).per_second * BATCH)
            time.sleep(REST_SECONDS)
    report("bare handler, events/s in batches of 100", spread(theirs, ",.0f"), "")
    report("events/s in batches of 100, power-loss", spread(ours, ",.0f"), ">= 40,000, goal 60,000")
    report("  ratio to bare", spread([a / b for a, b in zip(ours, theirs, strict=True)]), "")


def latency(plan: Plan) -> None:
    """p99 at half of the maximal load, sent by the clock; the bare handler takes the same load beside it."""
    ours: list[Outcome] = []
    theirs: list[Outcome] = []
    with bare(plan.folder) as yardstick, tracker(plan.folder / "e", "power-loss") as (port, _):
        load(port, seconds=plan.seconds)
        most = statistics.median(load(port, seconds=plan.seconds).per_second for _ in range(plan.rounds))
        for _ in range(plan.rounds):
            time.sleep(REST_SECONDS)
            theirs.append(load(yardstick, seconds=plan.seconds, rate=most / 2))
            ours.append(load(port, seconds=plan.seconds, rate=most / 2))
    report(
        f"p50 in ms at {most / 2:,.0f}/s, half of the maximal load", spread([one.p50_ms for one in ours]), ""
    )
    report("p99 in ms at half of the maximal load", spread([one.p99_ms for one in ours]), "<= 10")
    report("  p99 in ms of the bare handler at that rate", spread([one.p99_ms for one in theirs]), "")


def memory(plan: Plan) -> None:
    """Resident memory over minutes of half the maximal load."""
    samples: list[tuple[float, int]] = []
    with tracker(plan.folder / "f", "power-loss") as (port, pid):
        most = load(port, seconds=plan.seconds).per_second
        worker = threading.Thread(
            target=load, args=(port,), kwargs={"seconds": plan.memory_seconds, "rate": most / 2}
        )
        started = time.monotonic()
        worker.start()
        while worker.is_alive():
            samples.append((time.monotonic() - started, resident_bytes(pid)))
            time.sleep(0.5)
        worker.join()
    half = [size for at, size in samples if at > plan.memory_seconds / 2]
    first = [size for at, size in samples if at <= plan.memory_seconds / 2]
    report(
        f"most memory in {plan.memory_seconds:.0f} s of half load, MiB",
        f"{max(half + first) / MIB:.0f}",
        "<= 256",
    )
    growth = statistics.median(half) / statistics.median(first)
    report("  median of the second half / of the first", f"{growth:.2f}", "flat: about 1")


def draining(plan: Plan) -> None:
    """A filled spool into DuckDB against the direct insert of the same rows."""
    seen = [
        drain.measure(plan.folder / f"drain{number}", plan.drain_rows)
        for number in range(max(1, plan.rounds // 2))
    ]
    report("direct NDJSON insert into DuckDB, rows/s", spread([one.direct for one in seen], ",.0f"), "")
    report("draining a filled spool into DuckDB, rows/s", spread([one.drained for one in seen], ",.0f"), "")
    ratios = [one.drained / one.direct for one in seen]
    report("  ratio to the direct insert", spread(ratios), ">= 0.5, goal 0.7")


def into_clickhouse(plan: Plan) -> None:
    """A filled spool into embedded ClickHouse against the direct insert of the same rows, and its parts."""
    seen = [
        clickhouse.measure(plan.folder / f"clickhouse{number}", plan.clickhouse_rows, plan.seconds * 5)
        for number in range(max(1, plan.rounds // 3))
    ]
    direct, drained = [one.direct for one in seen], [one.drained for one in seen]
    report("direct JSONEachRow insert into ClickHouse, rows/s", spread(direct, ",.0f"), "")
    report("draining a filled spool into ClickHouse, rows/s", spread(drained, ",.0f"), "")
    ratios = [ours / its for ours, its in zip(drained, direct, strict=True)]
    report("  ratio to the direct insert", spread(ratios), ">= 0.5")
    for_a_million = [one.parts_made * 1_000_000 / plan.clickhouse_rows for one in seen]
    report("  parts made for a million rows", spread(for_a_million, ".0f"), "<= 100")
    report("  parts left after that", spread([one.parts_left for one in seen], ".0f"), "")
    inserts = [one.inserts_a_second for one in seen]
    report("inserts a second into a table, steady small requests", spread(inserts), "about 1")


def beside_the_sick(plan: Plan) -> None:
    """Two healthy sinks beside one that misbehaves, in ratio to the two alone in the same round."""
    seen = pace.measure(plan.folder / "pace", min(plan.drain_rows, 60_000), max(2, plan.rounds // 2))
    alone = seen.pop("none")
    report("two healthy sinks alone, rows/s", spread([rate for rate, _ in alone], ",.0f"), "")
    for name, rates in seen.items():
        pairs = list(zip(rates, alone, strict=True))
        report(
            f"  ratio beside one that {name}", spread([ours[0] / its[0] for ours, its in pairs]), ">= 0.95"
        )
        report("    the same by processor time", spread([ours[1] / its[1] for ours, its in pairs]), "")


def short_links(plan: Plan) -> None:
    """A short link from the cache, its clicks stored, in ratio to a bare handler that redirects."""
    seen = links.measure(plan.folder / "links", plan.rounds, plan.seconds)
    report("bare handler, redirects/s", spread([one.bare.per_second for one in seen], ",.0f"), "")
    report("short links followed/s, bursts of 1 s", spread([one.ours.per_second for one in seen], ",.0f"), "")
    ratios = [one.ours.per_second / one.bare.per_second for one in seen]
    report("  ratio to bare", spread(ratios), ">= 0.7")
    report(
        "p99 in ms at half of 0.7 of the bare handler's rate",
        spread([one.ours_evenly.p99_ms for one in seen]),
        "<= 2",
    )
    report(
        "  p99 in ms of the bare handler at that rate", spread([one.bare_evenly.p99_ms for one in seen]), ""
    )
    calm = f"{links.CALM_RATE:.0f}/s"
    report(f"p99 in ms at {calm}", spread([one.ours_calmly.p99_ms for one in seen]), "<= 2")
    report(f"  p99 in ms of the bare handler at {calm}", spread([one.bare_calmly.p99_ms for one in seen]), "")


def asking(plan: Plan) -> None:
    """Each view over events in embedded ClickHouse."""
    for name, cost in views.measure(plan.folder / "views", plan.view_rows):
        seen = f"{cost.seconds:.2f} s, {cost.mebibytes:,.0f} MiB, {cost.rows:,} rows"
        report(f"SELECT * FROM {name}, {plan.view_rows:,} events", seen, "")  # noqa: S608 (says what was asked)


PARTS: dict[str, Callable[[Plan], None]] = {
    "single": single,
    "batch": batches,
    "latency": latency,
    "drain": draining,
    "clickhouse": into_clickhouse,
    "pace": beside_the_sick,
    "views": asking,
    "links": short_links,
    "memory": memory,
}


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a glance: one short round of everything")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="one part (may be repeated)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tracker-bench-", dir=Path.cwd()) as folder:
        plan = (
            Plan(2, 2, 20, 50_000, 100_000, 200_000, Path(folder))
            if chosen.quick
            else Plan(10, 2, 300, 200_000, 1_000_000, 10_000_000, Path(folder))
        )
        for name in ("links", *"abcdef"):
            (plan.folder / name).mkdir()
        for name in chosen.only or PARTS:
            PARTS[name](plan)


if __name__ == "__main__":
    main()
