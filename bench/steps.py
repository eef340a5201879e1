"""How long the steps take: microseconds to turn a hit of the load into its encoded rows.

`python -m bench.steps` prints the best and the median of several rounds; compare on a quiet machine.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import orjson
from prometheus_client import CollectorRegistry

from bench.payloads import event
from tracker.events import Entry, Envelope, Hit
from tracker.metrics import Metrics
from tracker.pipeline import Pipeline, PipelineSettings
from tracker.steps.json_input import loads
from tracker.tuning import tune

ROUNDS = 200
EVENTS = 100  # a request's worth: kept until all of it is prepared, as the web does


class _Nowhere:
    async def add(self, entries: Sequence[Entry]) -> int:
        return 0


def bodies() -> list[bytes]:
    """The events of the load, each with ids of its own."""
    return [orjson.dumps(event(number)) for number in range(EVENTS)]


def envelope() -> Envelope:
    """A browser's request."""
    return Envelope(
        route="tr",
        is_client=True,
        host="www.example.com",
        ip="203.0.113.9",
        user_agent="Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
        language="en-US,en;q=0.9",
        ja4h="po11nn07enus_0123456789ab_000000000000_000000000000",
        uri="/tr/v1/tr/",
        base={},
    )


def per_event(work: Callable[[], object]) -> list[float]:
    """Microseconds of this thread's CPU time per event, for each round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        work()
        rounds.append((time.thread_time() - start) / EVENTS * 1e6)
    return rounds


def main() -> None:
    """Measure reading, preparing, and both, with the process set up as the server's."""
    tune()
    pipeline = Pipeline(_Nowhere(), PipelineSettings(), Metrics(CollectorRegistry(), "bench"))
    pipeline._hosts.remember("www.example.com", time.time())  # steady state: its name is stored
    around, sent = envelope(), bodies()
    now = time.time()
    hits = [Hit(around, loads(body, 64), now) for body in sent]

    def dropped() -> None:
        for hit in hits:
            pipeline.prepare(hit)

    measured: dict[str, Callable[[], object]] = {
        "orjson.loads": lambda: [orjson.loads(body) for body in sent],
        "json_input.loads": lambda: [loads(body, 64) for body in sent],
        "prepare, dropped": dropped,
        "prepare, kept": lambda: [pipeline.prepare(hit) for hit in hits],
        "loads and prepare": lambda: [
            pipeline.prepare(Hit(around, values, now)) for values in [loads(body, 64) for body in sent]
        ],
    }
    for name, work in measured.items():
        rounds = per_event(work)
        print(f"{name:18} best {min(rounds):6.2f} µs   median {statistics.median(rounds):6.2f} µs per event")


if __name__ == "__main__":
    main()
