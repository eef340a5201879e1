"""Brings a ClickHouse database up to date: what schema/clickhouse/*.sql says, once each, in order.

Safe from several collectors at once: every statement does nothing the second time, and a file is recorded
when all of its statements have run. Nothing is ever dropped. When nothing is pending, no right is needed
beyond reading, so that a collector's own user need not be allowed to change tables.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from tracker.errors import ConfigError
from tracker.sinks import clickhouse_difference as difference
from tracker.sinks import clickhouse_upkeep as upkeep
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_engine import Complaint, Settings
from tracker.sinks.clickhouse_source import LEDGER, Source, beginnings, read_source, record
from tracker.sinks.clickhouse_sql import literal
from tracker.sinks.clickhouse_there import Database, stored_tables
from tracker.sinks.migrations import Migration, pending
from tracker.sinks.registry import SCHEMA

log = logging.getLogger(__name__)

FOLDER = SCHEMA / "clickhouse"
NOT_THERE = frozenset({60, 81})
"""No such table, no such database."""
MAY_NOT = frozenset({164, 392, 497})
"""Read-only, not for this user, not enough privileges."""
DDL: Settings = {"distributed_ddl_task_timeout": 50, "distributed_foreground_insert": 1}
"""That a server of the cluster is away is told within the time for which the client waits."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the configuration says of the tables beyond their source."""

    cluster: str = ""
    """The cluster they lie on; '' for a server or engine on its own."""
    durability: str = "power-loss"
    ttl_seconds: Mapping[str, float] = field(default_factory=dict)
    """Age at which rows go, by table."""

    def place(self, database: str) -> Place:
        """Where the statements run, and with which settings."""
        return Place(database, self.cluster, upkeep.fsync(self.durability, self.cluster))


async def bring_up_to_date(engine: Database, folder: Path, layout: Layout) -> None:
    """Apply what is pending, then settings and TTLs where they differ from the layout's.

    Raises ConfigError for what a person must mend (a changed file, a newer store, a missing right, a TTL
    that has no meaning), Complaint and Unreachable for the rest.
    """
    source = await asyncio.to_thread(read_source, folder)
    upkeep.ttls(source.tables, layout.ttl_seconds)
    place = layout.place(engine.database)
    applied = await _applied(engine, place)
    if applied is not None and (waiting := pending(source.migrations, applied)):
        await _apply(engine, source, waiting, place)
    await _keep_up(engine, source, layout, place)


async def differences(engine: Database, layout: Layout, folder: Path = FOLDER) -> Mapping[str, str]:
    """Every table and view that does not fit -> all that differs, in words, with what mends it.

    Raises ConfigError, Complaint and Unreachable.
    """
    source = await asyncio.to_thread(read_source, folder)
    place = layout.place(engine.database)
    found = difference.differences(source, await stored_tables(engine), place)
    return {table: "; ".join(one.sentence(place) for one in ones) for table, ones in found.items()}


async def mend(engine: Database, folder: Path, layout: Layout) -> None:
    """Make tables, columns and views that are missing though their migration was applied.

    What would change or move rows that are there is left to a person. Raises as `bring_up_to_date`.
    """
    source = await asyncio.to_thread(read_source, folder)
    place = layout.place(engine.database)
    for _ in range(2):  # a table is made as it was at first, and then lacks the columns that came later
        found = difference.differences(source, await stored_tables(engine), place)
        for one in chain.from_iterable(found.values()):
            for statement in one.mending:
                await _run(engine, statement, DDL, place)
    await _keep_up(engine, source, layout, place)


async def _keep_up(engine: Database, source: Source, layout: Layout, place: Place) -> None:
    wanted = upkeep.Wanted(upkeep.ttls(source.tables, layout.ttl_seconds), place.settings)
    for statement in upkeep.statements(source.tables, await stored_tables(engine), wanted, place):
        await _run(engine, statement, upkeep.SETTINGS, place)


async def _applied(engine: Database, place: Place) -> dict[int, str] | None:
    """Number to digest; None for a user who may not look, and so may not apply anything either."""
    question = f"SELECT number, digest FROM {place.table(LEDGER)} FINAL"  # noqa: S608 (our own names)
    try:
        told = await engine.ask(question, anywhere=True)
    except Complaint as complaint:
        if complaint.code in NOT_THERE:
            return {}
        if complaint.code in MAY_NOT:
            return None
        raise
    return {int(number): str(digest) for number, digest in told.rows}


async def _apply(engine: Database, source: Source, waiting: Sequence[Migration], place: Place) -> None:
    await _refuse_to_replace_tables(engine, source.views, place)
    for statement in beginnings(place):
        await _run(engine, statement, DDL, place, logging.DEBUG)
    for migration in waiting:
        for statement in (*source.forms(migration, place), record(migration, place)):
            await _run(engine, statement, DDL, place, logging.DEBUG)
        log.info("%s: %s applied", engine.place, migration.name)


async def _refuse_to_replace_tables(engine: Database, views: Collection[str], place: Place) -> None:
    """`CREATE OR REPLACE VIEW` drops a table of that name with all its rows."""
    tables = (
        f"clusterAllReplicas({literal(place.cluster)}, system.tables)" if place.cluster else "system.tables"
    )
    question = (
        f"SELECT DISTINCT name, engine FROM {tables} "  # noqa: S608 (our own names)
        f"WHERE database = {literal(place.database)} AND engine <> 'View' ORDER BY name"
    )
    told = await engine.ask(question, anywhere=True)
    for table, kind in told.rows:
        if table in views:
            there = place.table(table)
            raise ConfigError(
                f"{there} is a table ({kind}) and a view of this name is to be made; nothing was changed. "
                f"Rename it (RENAME TABLE {there} TO {place.table(table + '_before')}{place.everywhere}) "
                "or use another database"
            )


async def _run(
    engine: Database, statement: str, settings: Settings, place: Place, level: int = logging.INFO
) -> None:
    first_line = statement.partition("\n")[0]
    log.log(level, "%s: %s", engine.place, first_line)
    try:
        await engine.command(statement, settings, anywhere=True)
    except Complaint as complaint:
        if complaint.code not in MAY_NOT:
            raise
        raise ConfigError(
            f"{engine.place}: the schema must be changed and this user may not do it; run `{place.apply}` "
            f"as a user who may. Refused: {first_line}"
        ) from complaint
