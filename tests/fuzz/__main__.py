"""`make fuzz`: every parser for a bounded time (FUZZ_SECONDS each, 60 by default; FUZZ_PARSERS names some).

What breaks a promise is kept in the parser's corpus, where the everyday tests replay it.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.parsers import PARSERS

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 4096
MOST_MEMORY_MIB = 1024
SLOW_SECONDS = 5
"""One input may take so long, in instrumented code."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run over one parser came to."""

    parser: str
    executions: int
    edges: int
    findings: tuple[str, ...]


def run(parser: str, seconds: int) -> Outcome:
    """Fuzz one parser; new inputs that reach new code are thrown away afterwards, findings are kept."""
    kept = CORPUS / parser
    before = _names(kept)
    with tempfile.TemporaryDirectory(prefix="tracker-fuzz-") as work:
        command = [sys.executable, "-m", "tests.fuzz.one", parser, work, str(kept)]
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={MOST_BYTES}",
            f"-rss_limit_mb={MOST_MEMORY_MIB}",
            f"-timeout={SLOW_SECONDS}",
            f"-artifact_prefix={kept}/",
            "-print_final_stats=1",
        ]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    log = done.stderr + done.stdout
    findings = tuple(sorted(_names(kept) - before))
    if findings or done.returncode:
        print(log[-5000:], file=sys.stderr)
    if done.returncode and not findings:
        findings = (f"ended with code {done.returncode}",)
    return Outcome(
        parser, _last(r"stat::number_of_executed_units: *(\d+)", log), _last(r"cov: (\d+)", log), findings
    )


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _last(pattern: str, log: str) -> int:
    found = re.findall(pattern, log)
    return int(found[-1]) if found else 0


def main() -> int:
    """Fuzz them one after another; the exit code is 1 when any promise was broken."""
    seconds = int(os.environ.get("FUZZ_SECONDS", "60"))
    wanted = os.environ.get("FUZZ_PARSERS", "").split() or list(PARSERS)
    outcomes = []
    print(f"{'parser':<10} {'executions':>10} {'edges':>6}  findings", flush=True)
    for parser in wanted:
        outcome = run(parser, seconds)
        outcomes.append(outcome)
        told = ", ".join(outcome.findings) or "none"
        print(f"{outcome.parser:<10} {outcome.executions:>10} {outcome.edges:>6}  {told}", flush=True)
    return 1 if any(outcome.findings for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
