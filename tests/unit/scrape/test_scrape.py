"""What `/metrics` says: the original's JSON with true values, and text that Prometheus' parsers read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tracker.batching.snapshot import DeliverySnapshot, TableSnapshot
from tracker.metrics import Metrics
from tracker.scrape import Scrape
from tracker.scrape.prometheus import FAMILIES

SINK = "duckdb:data/tracker.duckdb"
README_BATCHING = {
    "enabled", "total_batches", "total_items", "failed_batches", "avg_batch_size", "avg_flush_latency_ms",
    "queued_items", "memory_usage_mb", "batch_success_rate", "events_per_second",
}  # fmt: skip
CONTRACT = {
    "metrics": {
        "event_count", "error_count", "campaign_events", "mthreads_ops", "mstore_ops", "mtriage_ops",
        "total_latency_ns", "last_processed_unix", "connection_count", "health_status", "start_time_unix",
    },
    "batching": README_BATCHING | {"last_flush_time"},
    "calculated": {
        "avg_latency_ms", "error_rate", "uptime_seconds", "events_per_second", "batch_success_rate",
        "avg_items_per_batch",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    sink: str = SINK
    table: str = "events"
    accepted: int = 100
    delivered: int = 80
    dead: int = 3
    waiting: int = 10
    dropped: dict[str, int] = field(default_factory=lambda: {"by_command": 7})


@dataclass(frozen=True, slots=True)
class Spool:
    live_bytes: int = 4096
    max_bytes: int = 10_000
    dead_bytes: int = 256
    dead_max_bytes: int = 512
    damaged_files: int = 0
    wal_bytes: int = 128
    remembered_ids: int = 5


@dataclass
class Sources:
    every: Sequence[Totals] = (Totals(),)
    sinks: Sequence[DeliverySnapshot] = ()

    async def totals(self) -> Sequence[Totals]:
        return self.every

    def deliveries(self) -> Sequence[DeliverySnapshot]:
        return self.sinks

    def spool_state(self) -> Spool:
        return Spool()

    def memory_bytes(self) -> int:
        return 2 * 1024 * 1024


def delivery(
    breaker: str = "closed", held: str | None = None, last_error: str | None = None
) -> DeliverySnapshot:
    table = TableSnapshot(
        table="events", strategy="hybrid", limits={"rows": 1000, "bytes": 8_388_608, "seconds": 2.0},
        priority=2, batches=4, rows=80,
        failures=1, dead=3, write_seconds=0.2, waiting_rows=10, waiting_bytes=900, oldest_at=1_000_098.5,
        sealed_rows=0, is_in_flight=False, held=held, last_error=None, last_success_at=1_000_050.0,
    )  # fmt: skip
    return DeliverySnapshot(SINK, True, breaker, 0, 1, last_error, 1_000_050.0, (table,))


class Running:
    """A scrape of a process that started at 1,000,000 s and is now 100 s old."""

    def __init__(self, *deliveries: DeliverySnapshot, totals: Sequence[Totals] = (Totals(),)) -> None:
        self.metrics = Metrics(CollectorRegistry(), "1.2.3")
        self.now = 1_000_000.0
        self.scrape = Scrape(self.metrics, Sources(totals, deliveries), lambda: self.now)
        self.now += 100.0

    def work(self) -> None:
        self.metrics.events_accepted.labels("tr").inc(150)
        self.metrics.events_accepted.labels("str").inc(50)
        self.metrics.events_rejected.labels("tr", "malformed").inc(50)
        self.metrics.batches.labels(SINK, "events", "done").inc(4)
        self.metrics.batches.labels(SINK, "events", "retried").inc(1)
        self.metrics.batch_rows.labels(SINK, "events").inc(80)
        self.metrics.write_seconds.labels(SINK, "events").observe(0.1)
        self.metrics.write_seconds.labels(SINK, "events").observe(0.3)
        self.metrics.request_seconds.labels("tr").observe(0.004)


async def test_the_json_has_every_key_of_the_original() -> None:
    told = await Running(delivery()).scrape.as_json()
    for name, keys in CONTRACT.items():
        assert set(told[name]) >= keys, name
    assert told["timestamp"] == "1970-01-12T13:48:20.000Z"
    assert orjson.dumps(told)


async def test_batching_tells_true_values() -> None:
    running = Running(delivery())
    running.work()
    batching = (await running.scrape.as_json())["batching"]
    assert batching == {
        "enabled": True, "total_batches": 4, "total_items": 80, "failed_batches": 1, "avg_batch_size": 20.0,
        "avg_flush_latency_ms": pytest.approx(200.0), "queued_items": 10, "memory_usage_mb": 2.0,
        "last_flush_time": "1970-01-12T13:47:30.000Z", "batch_success_rate": 0.8, "events_per_second": 2.0,
    }  # fmt: skip


async def test_calculated_and_metrics_follow_from_the_counters() -> None:
    running = Running(delivery())
    running.work()
    told = await running.scrape.as_json()
    assert told["metrics"]["event_count"] == 200
    assert told["metrics"]["error_count"] == 50
    assert told["metrics"]["total_latency_ns"] == 4_000_000
    assert told["calculated"]["error_rate"] == 0.2
    assert told["calculated"]["uptime_seconds"] == 100.0
    assert told["calculated"]["avg_latency_ms"] == pytest.approx(4.0)


async def test_a_server_that_has_done_nothing_divides_by_nothing() -> None:
    told = await Running(totals=()).scrape.as_json()
    assert told["batching"]["avg_batch_size"] == 0.0
    assert told["batching"]["batch_success_rate"] == 1.0
    assert told["batching"]["last_flush_time"] is None
    assert told["conservation"] == {"is_kept": True, "tables": []}


@pytest.mark.parametrize(
    ("sinks", "word"),
    [
        ((), "disconnected"),
        ((delivery(),), "healthy"),
        ((delivery("open"),), "unhealthy"),
        ((delivery("open"), delivery()), "degraded"),
        ((delivery("half-open"),), "degraded"),
        ((delivery(held="too many rows are rejected"),), "degraded"),
        ((delivery(last_error="refused"),), "degraded"),
    ],
)
async def test_the_stores_health_is_one_of_the_originals_words(
    sinks: tuple[DeliverySnapshot, ...], word: str
) -> None:
    told = await Running(*sinks).scrape.as_json()
    assert told["metrics"]["health_status"] == word


async def test_a_row_that_is_unaccounted_for_is_told() -> None:
    running = Running(totals=(Totals(), Totals(table="logs", accepted=101)))
    conservation = (await running.scrape.as_json())["conservation"]
    assert conservation["is_kept"] is False
    assert [table["difference"] for table in conservation["tables"]] == [0, 1]


async def test_tables_tell_their_backlog_and_limits() -> None:
    (table,) = (await Running(delivery(held="a broken schema")).scrape.as_json())["tables"]
    assert table["limits"] == {"rows": 1000, "bytes": 8_388_608, "seconds": 2.0}
    assert (table["waiting_rows"], table["waiting_bytes"], table["held"]) == (10, 900, "a broken schema")


async def test_prometheus_text_is_read_by_its_parser_and_conserves_rows() -> None:
    running = Running(delivery())
    running.work()
    body, content_type = await running.scrape.as_prometheus("text/plain")
    values = {
        (sample.name, sample.labels.get("table", "")): sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
    }
    assert content_type.startswith("text/plain")
    assert values["tracker_rows_accepted_total", "events"] == 100.0
    assert values["tracker_conservation_difference", "events"] == 0.0
    assert values["tracker_oldest_waiting_seconds", "events"] == 1.5
    assert not [name for name, _ in values if name.endswith("_created")]


async def test_openmetrics_is_answered_when_it_is_asked_for() -> None:
    running = Running(delivery("open"))
    running.work()
    body, content_type = await running.scrape.as_prometheus("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]  # the library has no types here
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    states = {one.labels["state"]: one.value for one in families["tracker_breaker_state"].samples}
    assert states == {"closed": 0.0, "open": 1.0, "half-open": 0.0}


async def test_every_family_of_the_catalogue_appears_in_a_scrape() -> None:
    body, _ = await Running(delivery()).scrape.as_prometheus("")
    assert [name for name in FAMILIES if f"# TYPE {name} " not in body.decode()] == []


async def test_two_scrapes_of_the_same_moment_are_the_same() -> None:
    running = Running(delivery())
    running.work()
    assert await running.scrape.as_prometheus("") == await running.scrape.as_prometheus("")
