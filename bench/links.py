"""A short link followed from the cache by first visitors, against a bare handler that only redirects.

Bursts as fast as they are answered, and two even rates by the clock, all in turn with the bare handler. What
is due to the clicks of a burst is done beside it and after it, so each burst is followed by a rest.
"""

import json
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from bench.load import Outcome
from bench.payloads import LINK, LINK_TO
from bench.processes import bare, load, tracker

BURST_SECONDS = 1.0
REST_SECONDS = 4.0
"""After which what a burst left behind is stored."""
PART_OF_BARE = 0.35
"""The even rate: half of the 0.7 of the bare handler's rate that bursts are to reach."""
CALM_RATE = 500.0
"""Clicks a second that one core stores beside answering them, with room to spare."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: bursts, then the even rate, then a calm one."""

    bare: Outcome
    ours: Outcome
    bare_evenly: Outcome
    ours_evenly: Outcome
    bare_calmly: Outcome
    ours_calmly: Outcome


def measure(folder: Path, rounds: int, seconds: float) -> list[Round]:
    """All rounds, on one server."""
    with bare(folder) as yardstick, tracker(folder, "power-loss") as (port, _):
        _make_link(folder / "power-loss.json", port)
        for each in (yardstick, port):
            load(each, form="link", seconds=BURST_SECONDS)
            time.sleep(REST_SECONDS)
        return [_round(yardstick, port, seconds) for _ in range(rounds)]


def _round(yardstick: int, port: int, seconds: float) -> Round:
    theirs = load(yardstick, form="link", seconds=BURST_SECONDS)
    ours = load(port, form="link", seconds=BURST_SECONDS)
    time.sleep(REST_SECONDS)
    rate = theirs.per_second * PART_OF_BARE
    theirs_evenly = load(yardstick, form="link", seconds=seconds, rate=rate)
    ours_evenly = load(port, form="link", seconds=seconds, rate=rate)
    time.sleep(REST_SECONDS)
    theirs_calmly = load(yardstick, form="link", seconds=seconds, rate=CALM_RATE)
    ours_calmly = load(port, form="link", seconds=seconds, rate=CALM_RATE)
    time.sleep(REST_SECONDS)
    return Round(theirs, ours, theirs_evenly, ours_evenly, theirs_calmly, ours_calmly)


def _make_link(config: Path, port: int) -> None:
    """An account, and by it the link."""
    add = ["-m", "tracker", "accounts", "add", "--config", str(config), "--admin", "--password-stdin"]
    made = subprocess.run([sys.executable, *add], input=b"of the bench\n", stdout=subprocess.PIPE, check=True)
    credentials = b64encode(made.stdout.strip() + b":of the bench").decode()
    body = json.dumps({"urlfrom": f"https://{LINK}", "urlto": LINK_TO}).encode()
    headers = {"Authorization": f"Basic {credentials}"}
    wish = urllib.request.Request(f"http://127.0.0.1:{port}/tr/v1/rpi/redirect", body, headers)
    with urllib.request.urlopen(wish, timeout=10):  # noqa: S310 (loopback)
        return
