"""Pruning as the configuration wants it, over the configured stores: wiring for server and command."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial, reduce
from operator import or_

from tracker import clock
from tracker.config import Config
from tracker.config.services import Prune
from tracker.metrics import Metrics
from tracker.retention.policy import LOGS, LOGS_PAGE_ROWS, PAGE_ROWS, Policy, Task
from tracker.retention.run import Retention, Sources
from tracker.settings import sink_settings
from tracker.sinks.base import Sink
from tracker.sinks.pruning import Emptied, Emptying, pruner
from tracker.steps.hashes import sha
from tracker.tables import CATALOGUE


def retention_of(
    config: Config,
    sinks: Mapping[str, Sink],
    oldest_waiting: Callable[[], Awaitable[float | None]],
    metrics: Metrics | None = None,
) -> Retention:
    """What prunes the configured stores; `sinks` are those that this process has open, by name."""
    stores = {
        service.name: partial(pruner, sink_settings(config, service), sinks.get(service.name))
        for service in config.sinks
    }
    return Retention(retention_policy(config), Sources(stores, oldest_waiting, clock.now, metrics))


def retention_policy(config: Config) -> Policy:
    """What is pruned, of which store, at what age."""
    logs_ttl = 0.0 if config.prune_logs_skip else config.prune_logs_ttl_seconds
    days = config.data_retention_days if config.prune_old_data else 0
    return Policy(
        tasks={sink.name: tuple(_task(config, entry) for entry in sink.prune) for sink in config.sinks},
        retention_seconds=days * 86_400.0,
        logs=Task(LOGS, logs_ttl, config.prune_logs_page_size or LOGS_PAGE_ROWS) if logs_ttl else None,
        logs_only=config.prune_logs_only,
        most_rows=config.prune_limit,
        done_before=config.prune_skip_to_timestamp,
        notes_progress=config.prune_update_config,
    )


def _task(config: Config, entry: Prune) -> Task:
    return Task(
        table=entry.table,
        ttl_seconds=entry.ttl_seconds,
        page_rows=entry.page_size or PAGE_ROWS,
        keeps_cflags=reduce(or_, entry.cflags_ignore, 0),
        emptying=None if entry.clear_all else _emptying(config, entry),
    )


def _emptying(config: Config, entry: Prune) -> Emptying:
    """Hashes are the original's, salted as those of e-mail addresses are."""
    columns = {column.name: column for column in CATALOGUE[entry.table].columns}
    fields = tuple(
        Emptied(
            columns[field.id],
            columns[field.id].default if field.default is None else field.default,
            field.dest_param_hash,
        )
        for field in entry.fields_
    )
    salt = config.prefix_private_hash
    return Emptying(fields, lambda text: sha(salt + text), entry.clear_params, entry.clear_numeric_params)
