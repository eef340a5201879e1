"""Settings and TTLs of tables that are there: what changes them where the configuration wants others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tracker.errors import ConfigError
from tracker.sinks.clickhouse_cluster_form import Place, stored_name
from tracker.sinks.clickhouse_engine import Settings
from tracker.sinks.clickhouse_sql import compact, significant
from tracker.sinks.clickhouse_statements import CreateTable, EngineClause, engine_clause
from tracker.sinks.clickhouse_there import TableThere
from tracker.tables import CATALOGUE, Kind

TIMES = frozenset({Kind.TIMESTAMP, Kind.NANOTIME, Kind.DATE})
SYNCED = {"fsync_after_insert": 1, "fsync_part_directory": 1}
"""An insert is on disk, with its folder's entry, before it is answered."""
SETTINGS: Settings = {"materialize_ttl_after_modify": 0}
"""A new TTL does not rewrite what is stored; rows go when their parts are merged."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration wants of the tables."""

    ttls: Mapping[str, str]
    """By table, as ClickHouse writes it; tables that are not here keep their rows."""
    settings: Mapping[str, int]
    """Of every table."""


def fsync(durability: str, cluster: str) -> dict[str, int]:
    """The MergeTree settings by which a row survives what `Durability` says.

    A cluster has none: there a quorum of replicas has the row before the insert is answered.
    """
    if cluster:
        return {}
    return {setting: value if durability == "power-loss" else 0 for setting, value in SYNCED.items()}


def ttls(tables: Mapping[str, CreateTable], seconds: Mapping[str, float]) -> dict[str, str]:
    """Table to TTL. Raises ConfigError for a name that is no table, and a table without a time."""
    for name in seconds:
        if name not in tables:
            raise ConfigError(
                f"TTL: {name!r} is no table of ClickHouse; there is {', '.join(sorted(tables))}"
            )
    return {
        name: f"toDateTime({_time_column(tables[name])}) + toIntervalSecond({round(age)})"
        for name, age in seconds.items()
    }


def statements(
    tables: Mapping[str, CreateTable], there: Mapping[str, TableThere], wanted: Wanted, place: Place
) -> Iterator[str]:
    """What makes the tables that are there as wanted; nothing where they are so already."""
    for name in sorted(tables):
        found = there.get(stored_name(name, place))
        if found is None or not found.engine.endswith("MergeTree"):
            continue
        engine = engine_clause(found.engine_full)
        for change in (_setting(engine, wanted.settings), _ttl(engine, wanted.ttls.get(name))):
            if change:
                yield f"ALTER TABLE {place.stored(name)}{place.everywhere} {change}"


def _setting(engine: EngineClause, wanted: Mapping[str, int]) -> str | None:
    there = engine.settings
    changed = [f"{key} = {value}" for key, value in wanted.items() if there.get(key, "0") != str(value)]
    return f"MODIFY SETTING {', '.join(changed)}" if changed else None


def _ttl(engine: EngineClause, wanted: str | None) -> str | None:
    there = engine.clauses.get("TTL")
    if wanted is not None:
        return None if there and compact(there) == compact(wanted) else f"MODIFY TTL {wanted}"
    return "REMOVE TTL" if there and _is_ours(there) else None


def _is_ours(ttl: str) -> bool:
    """Of the form that is made here; a TTL that a person has put there by hand stays."""
    words = [token.text for token in significant(ttl)]
    return len(words) == 9 and words[0] == "toDateTime" and words[5] == "toIntervalSecond"


def _time_column(table: CreateTable) -> str:
    """The column that decides a row's partition, else its version."""
    kinds = CATALOGUE[table.name].kinds() if table.name in CATALOGUE else {}
    partition = (token.text for token in significant(table.engine.clauses.get("PARTITION BY", "")))
    for column in (*partition, *table.engine.arguments):
        if kinds.get(column) in TIMES:
            return column
    raise ConfigError(f"TTL: {table.name} has no time by which a row is old; its rows cannot have a TTL")
