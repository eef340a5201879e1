"""A run over several stores: what it tells, what it leaves, and how far rows are done."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tracker.errors import QueryError, TrackerError
from tracker.metrics import Metrics
from tracker.retention.policy import Policy, Task, time_text
from tracker.retention.run import LATE_SECONDS, Retention, Sources
from tracker.sinks.pruning import Counts, Emptying, Rule

NOW = 1_800_000_000.0
POLICY = Policy(tasks={"a": (Task("events", 100), Task("payments", 500))}, logs=Task("logs", 50))


@dataclass
class Store:
    """A store in memory: of each table the times of its rows."""

    tables: dict[str, list[float]]
    step_rows: int = 2
    fails_at: str = ""
    waits: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.waits.set()

    @asynccontextmanager
    async def opening(self) -> AsyncIterator["Store"]:
        if self.fails_at == "open":
            raise QueryError("it is away")
        yield self

    async def counts(self, rule: Rule) -> Counts:
        due = self._due(rule)
        rows = self.tables.get(rule.table.name, [])
        return Counts(len(rows), len(due), time_text(min(due)) if due else "")

    async def prune(self, rule: Rule, most_rows: int | None) -> AsyncGenerator[int, None]:
        await self.waits.wait()
        due = self._due(rule)[:most_rows]
        for at in range(0, len(due), self.step_rows):
            if self.fails_at == rule.table.name:
                raise QueryError("it broke off")
            some = due[at : at + self.step_rows]
            self.tables[rule.table.name] = [time for time in self.tables[rule.table.name] if time not in some]
            yield len(some)

    def _due(self, rule: Rule) -> list[float]:
        times = self.tables.get(rule.table.name, [])
        return sorted(time for time in times if rule.since <= time_text(time) < rule.before)


def old(*ages: float) -> list[float]:
    return [NOW - age for age in ages]


def retention(policy: Policy, waiting: float | None = None, **stores: Store) -> Retention:
    async def oldest_waiting() -> float | None:
        return waiting

    openings = {name: store.opening for name, store in stores.items()}
    return Retention(
        policy, Sources(openings, oldest_waiting, lambda: NOW, Metrics(CollectorRegistry(), "t"))
    )


def told(report: dict[str, Any], store: int = 0) -> list[tuple[str, int, int, int]]:
    return [
        (table["table"], table["due"], table["pruned"], table["left"])
        for table in report["stores"][store]["tables"]
    ]


async def test_everything_old_goes_and_is_counted() -> None:
    store = Store({"events": old(101, 102, 103, 100, 3), "payments": old(499), "logs": old(51)})
    report = await retention(POLICY, a=store).run()
    assert told(report) == [("logs", 1, 1, 0), ("events", 3, 3, 0), ("payments", 0, 0, 0)]
    assert [table["rows_after"] for table in report["stores"][0]["tables"]] == [0, 2, 1]
    assert store.tables["events"] == old(100, 3)


async def test_a_dry_run_counts_the_same_and_changes_nothing() -> None:
    store = Store({"events": old(101, 102, 103)})
    report = await retention(POLICY, a=store).run(is_dry=True)
    assert told(report)[1] == ("events", 3, 0, 3)
    assert store.tables["events"] == old(101, 102, 103)


async def test_a_limit_counts_over_the_tables_of_a_store_and_the_oldest_go_first() -> None:
    tables = {"events": old(110, 101, 120), "payments": old(501, 502), "logs": old(51)}
    limited = Policy(tasks={"a": POLICY.tasks["a"], "b": POLICY.tasks["a"]}, logs=POLICY.logs, most_rows=3)
    first, second = Store(dict(tables)), Store(dict(tables))
    report = await retention(limited, a=first, b=second).run()
    assert told(report) == told(report, 1) == [("logs", 1, 1, 0), ("events", 3, 2, 1), ("payments", 2, 0, 2)]
    assert first.tables["events"] == old(101)


async def test_a_store_that_fails_keeps_no_other_from_it() -> None:
    broken, away, well = (Store({"events": old(101), "logs": old(51)}) for _ in range(3))
    broken.fails_at, away.fails_at = "events", "open"
    tasks = (Task("events", 100),)
    policy = Policy(tasks=dict.fromkeys("abc", tasks), logs=POLICY.logs)
    report = await retention(policy, a=broken, b=away, c=well).run()
    assert [store["error"] for store in report["stores"]] == ["it broke off", "it is away", None]
    assert told(report) == [("logs", 1, 1, 0)]
    assert told(report, 2) == [("logs", 1, 1, 0), ("events", 1, 1, 0)]


async def test_two_runs_are_never_under_way_at_once() -> None:
    store = Store({"logs": old(51)})
    store.waits.clear()
    pruning = retention(POLICY, a=store)
    first = asyncio.create_task(pruning.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(TrackerError, match="under way already"):
        await pruning.run(is_dry=True)
    store.waits.set()
    await first
    assert told(await pruning.run())[0] == ("logs", 0, 0, 0)


async def test_a_run_can_be_stopped_and_the_next_one_goes_on() -> None:
    store = Store({"logs": old(51)})
    store.waits.clear()
    pruning = retention(POLICY, a=store)
    await pruning.stop()
    first = asyncio.create_task(pruning.run())
    await asyncio.sleep(0.01)
    await pruning.stop()
    with pytest.raises(TrackerError, match="was stopped"):
        await first
    store.waits.set()
    assert told(await pruning.run())[0] == ("logs", 1, 1, 0)


async def test_what_was_emptied_is_let_go_of_although_nothing_is_due() -> None:
    asked: list[str] = []

    class Half(Store):
        async def prune(self, rule: Rule, most_rows: int | None) -> AsyncGenerator[int, None]:
            asked.append(rule.action)
            return
            yield 0

    emptying = Emptying((), str, clears_params=True)
    policy = Policy(tasks={"a": (Task("events", 100, emptying=emptying), Task("payments", 100))})
    await retention(policy, a=Half({})).run()
    assert asked == ["empty"]


NOTING = Policy(tasks=POLICY.tasks, logs=POLICY.logs, notes_progress=True, done_before=int(NOW) - 10_000)


@pytest.mark.parametrize(
    ("rows", "waiting", "done_before"),
    [
        ({}, None, 500),  # no rule reaches further than the longest age
        ({"payments": old(501), "events": old(101)}, None, 500),
        ({}, NOW - 40, LATE_SECONDS + 40),  # the oldest row that waits may still come
        ({}, NOW - 4000, LATE_SECONDS + 4000),
        ({"events": old(20_000)}, None, 20_000),  # came late, behind what was taken as done
    ],
    ids=["empty", "rows", "waiting", "waiting long", "late"],
)
async def test_how_far_rows_are_done(
    rows: dict[str, list[float]], waiting: float | None, done_before: float
) -> None:
    report = await retention(NOTING, waiting, a=Store(rows)).run()
    assert report["skip_to"] == NOW - done_before


async def test_a_late_row_is_pruned_by_the_run_after_it_was_found() -> None:
    store = Store({"events": old(20_000)})
    report = await retention(NOTING, a=store).run()
    assert store.tables["events"] == old(20_000)
    again = Policy(tasks=POLICY.tasks, logs=POLICY.logs, notes_progress=True, done_before=report["skip_to"])
    await retention(again, a=store).run()
    assert store.tables["events"] == []


async def test_rows_that_a_limit_left_are_not_done() -> None:
    limited = Policy(tasks={"a": (Task("events", 100),)}, notes_progress=True, most_rows=1)
    report = await retention(limited, a=Store({"events": old(900, 800)})).run()
    assert report["skip_to"] == NOW - 800


@pytest.mark.parametrize("how", ["dry", "logs", "error"])
async def test_nothing_is_noted_of_a_run_that_was_not_whole(how: str) -> None:
    store = Store({"events": old(101)}, fails_at="events" if how == "error" else "")
    report = await retention(NOTING, a=store).run(is_dry=how == "dry", logs_only=how == "logs")
    assert "skip_to" not in report


async def test_a_run_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    pruning = retention(POLICY, a=Store({"events": old(101, 102, 103)}))
    with caplog.at_level("INFO"):
        await pruning.run()
        await pruning.run(is_dry=True)
    (line,) = caplog.records
    fields: Sequence[Any] = line.__dict__["fields"]
    assert fields["rows"] == {"a events delete": 3}  # type: ignore[call-overload]  # a mapping
    metrics = pruning._sources.metrics
    assert metrics is not None
    assert metrics.pruned_rows.labels("a", "events")._value.get() == 3
    assert metrics.prune_runs.labels("done")._value.get() == 1
    assert metrics.prune_last_run._value.get() == NOW
