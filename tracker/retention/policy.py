"""What the configuration wants pruned, as rules for one store at one moment. Pure; the clock is passed in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from tracker.sinks.pruning import Emptying, Rule
from tracker.tables import CATALOGUE

LOGS = "logs"
PAGE_ROWS = 5000
"""Rows of one step where nothing else is said."""
LOGS_PAGE_ROWS = 10_000

STAYING: Mapping[str, str] = MappingProxyType(
    {
        "payments": "money is kept for as long as the law on accounts says",
        "agreements": "the consent that is in force",
        "agreed": "the proof of consent, kept for as long as it may be asked for",
        "jurisdictions": "rules, not records",
        "accounts": "in force until they are disabled or end",
        "orgs": "settings",
        "redirects": "short links lead on until they are changed",
        "redirect_history": "who made or changed which link",
        "hosts": "names of the sites themselves, without which their hashes say nothing",
        "counters": "totals without anything personal; they would be wrong without old rows",
    }
)
"""Tables that DataRetentionDays leaves alone, and why; Prune[] may name them all the same."""


@dataclass(frozen=True, slots=True)
class Task:
    """Rows of a table from an age on."""

    table: str
    ttl_seconds: float
    page_rows: int = PAGE_ROWS
    keeps_cflags: int = 0
    emptying: Emptying | None = None
    """None: they are deleted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is pruned."""

    tasks: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)
    """By store, in the order of the configuration."""
    retention_seconds: float = 0.0
    """Age at which rows of every ageing table are deleted in every store, 0 for never."""
    logs: Task | None = None
    logs_only: bool = False
    most_rows: int = 0
    """Most rows of a run in each store, 0 for no limit."""
    done_before: int = 0
    """Unix seconds: older rows are taken as done."""
    notes_progress: bool = False
    """Say up to when rows are done."""

    def rules(self, store: str, now: float, *, logs_only: bool = False) -> tuple[Rule, ...]:
        """What one run does to one store, in order: what is deleted goes first."""
        found = list(self._tasks(store, logs_only or self.logs_only))
        found.sort(key=lambda task: task.emptying is not None)
        return tuple(self._rule(task, now) for task in found)

    def _tasks(self, store: str, logs_only: bool) -> Iterator[Task]:
        if self.logs:
            yield self.logs
        if logs_only:
            return
        if self.retention_seconds:
            yield from (Task(table, self.retention_seconds) for table in ageing())
        yield from self.tasks.get(store, ())

    def _rule(self, task: Task, now: float) -> Rule:
        return Rule(
            table=CATALOGUE[task.table],
            before=time_text(now - task.ttl_seconds),
            since=time_text(self.done_before) if self.done_before > 0 else "",
            keeps_cflags=task.keeps_cflags,
            emptying=task.emptying,
            page_rows=task.page_rows,
        )


def ageing() -> tuple[str, ...]:
    """Tables whose rows DataRetentionDays deletes."""
    return tuple(table for table in CATALOGUE if table not in STAYING)


def time_text(seconds: float) -> str:
    """Unix seconds as stores write a time, to the millisecond below, at least the year 1970."""
    moment = datetime.fromtimestamp(max(int(seconds * 1000), 0) / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def seconds_of(time: str) -> int:
    """Unix seconds of a time or day as a store writes it, the fraction cut off."""
    return int(datetime.fromisoformat(time.removesuffix("Z")).replace(tzinfo=UTC).timestamp() // 1)
