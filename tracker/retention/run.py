"""One run of pruning over every store: counted, carried out, counted again, and told.

Only one run is under way at a time. A store that cannot be pruned now keeps no other one from it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any

from tracker.errors import QueryError, TrackerError
from tracker.metrics import Metrics
from tracker.retention.policy import Policy, seconds_of
from tracker.sinks.pruning import Counts, Pruner, Rule

log = logging.getLogger(__name__)

LATE_SECONDS = 3600
"""How much older than its place in the spool a row may be."""

Opening = Callable[[], AbstractAsyncContextManager[Pruner]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run works on."""

    stores: Mapping[str, Opening]
    """Stores by name."""
    oldest_waiting: Callable[[], Awaitable[float | None]]
    """Unix seconds at which the oldest row came that the spool still holds, None when it holds none."""
    clock: Callable[[], float]
    """Unix seconds."""
    metrics: Metrics | None = None


class Retention:
    """Prunes by one policy, from one event loop."""

    def __init__(self, policy: Policy, sources: Sources) -> None:
        self._policy = policy
        self._sources = sources
        self._running = asyncio.Lock()
        self._run_now: asyncio.Task[dict[str, Any]] | None = None

    async def run(self, *, logs_only: bool = False, is_dry: bool = False) -> dict[str, Any]:
        """Prune, or only count what would be; the report is ready for JSON.

        Raises TrackerError when a run is under way already, or was stopped.
        """
        if self._running.locked():
            raise TrackerError("pruning is under way already: wait for its end")
        async with self._running:
            self._run_now = asyncio.create_task(self._run(logs_only, is_dry))
            try:
                return await self._run_now
            except asyncio.CancelledError:
                self._run_now.cancel()
                await asyncio.wait({self._run_now})
                if (task := asyncio.current_task()) and task.cancelling():
                    raise
                raise TrackerError("pruning was stopped: the server ends; the next run goes on") from None

    async def stop(self) -> None:
        """End the run that is under way, between two steps or in one; who waits for it is told."""
        if self._run_now is not None:
            self._run_now.cancel()
            await asyncio.wait({self._run_now})

    async def _run(self, logs_only: bool, is_dry: bool) -> dict[str, Any]:
        now, began = self._sources.clock(), time.monotonic()
        stores = []
        oldest: list[str] = []
        for name, opening in self._sources.stores.items():
            rules = self._policy.rules(name, now, logs_only=logs_only)
            stores.append(await self._store(name, opening, rules, is_dry, oldest))
        report: dict[str, Any] = {
            "dry_run": is_dry,
            "logs_only": logs_only or self._policy.logs_only,
            "seconds": round(time.monotonic() - began, 3),
            "stores": stores,
        }
        is_whole = not (is_dry or report["logs_only"] or any(store["error"] for store in stores))
        if is_whole and self._policy.notes_progress and oldest:
            report["skip_to"] = await self._done_before(oldest)
        self._tell(report)
        return report

    async def _store(
        self, name: str, opening: Opening, rules: tuple[Rule, ...], is_dry: bool, oldest: list[str]
    ) -> dict[str, Any]:
        """One store's part of the report; adds the times before which rows are done to `oldest`."""
        tables: list[dict[str, Any]] = []
        left = self._policy.most_rows or None
        try:
            async with opening() as pruner:
                for rule in rules:
                    told = await self._rule(name, pruner, rule, left, is_dry)
                    tables.append(told)
                    left = None if left is None else left - told["pruned"]
                    if self._policy.notes_progress and not is_dry:
                        late = (await pruner.counts(replace(rule, since=""))).oldest
                        oldest += [rule.before, *([late] if late else [])]
        except QueryError as error:
            return {"store": name, "error": str(error), "tables": tables}
        return {"store": name, "error": None, "tables": tables}

    async def _rule(
        self, store: str, pruner: Pruner, rule: Rule, left: int | None, is_dry: bool
    ) -> dict[str, Any]:
        before = await pruner.counts(rule)
        pruned = 0
        # a store may have been stopped before it let go of what was emptied
        if (before.due or rule.emptying) and not is_dry and left != 0:
            async with aclosing(pruner.prune(rule, left)) as steps:
                async for rows in steps:
                    pruned += rows
                    self._count(store, rule, rows)
        after = await pruner.counts(rule) if pruned else before
        return _told(rule, before, pruned, after)

    async def _done_before(self, oldest: list[str]) -> int:
        """Unix seconds before which no row is left, waits, or may come from this spool."""
        waiting = await self._sources.oldest_waiting()
        times = [seconds_of(time) for time in oldest]
        return max(min(times) if waiting is None else min(*times, int(waiting) - LATE_SECONDS), 0)

    def _count(self, store: str, rule: Rule, rows: int) -> None:
        if self._sources.metrics is not None:
            self._sources.metrics.pruned_rows.labels(store, rule.table.name).inc(rows)

    def _tell(self, report: Mapping[str, Any]) -> None:
        """One line in the server's log and its metrics; a command prints its report instead."""
        metrics = self._sources.metrics
        if report["dry_run"] or metrics is None:
            return
        errors = {store["store"]: store["error"] for store in report["stores"] if store["error"]}
        metrics.prune_runs.labels("failed" if errors else "done").inc()
        metrics.prune_last_run.set(self._sources.clock())
        rows = {
            f"{store['store']} {table['table']} {table['action']}": table["pruned"]
            for store in report["stores"]
            for table in store["tables"]
            if table["pruned"]
        }
        fields = {"seconds": report["seconds"], "rows": rows, **({"errors": errors} if errors else {})}
        log.log(logging.WARNING if errors else logging.INFO, "pruned", extra={"fields": fields})


def _told(rule: Rule, before: Counts, pruned: int, after: Counts) -> dict[str, Any]:
    return {
        "table": rule.table.name,
        "action": rule.action,
        "older_than": f"{rule.before}Z",
        "rows_before": before.rows,
        "due": before.due,
        "pruned": pruned,
        "left": after.due if pruned else before.due,
        "rows_after": after.rows,
    }
