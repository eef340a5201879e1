"""The SQL of a single server, and the same for a cluster, both from the one source in schema/clickhouse.

On a cluster each table `t` is two: `t_local`, replicated, which stores the rows of one shard, and `t`,
Distributed, which everyone writes to and asks. A row's shard follows from columns that it is deduplicated
by, so that rows of the same key always meet. All names carry their database.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tracker.errors import ConfigError
from tracker.sinks.clickhouse_sql import Token, literal, name, significant
from tracker.sinks.clickhouse_statements import AlterTable, CreateTable, CreateView, EngineClause, Understood

REPLICA_PATH = "/clickhouse/tables/{layer}-{shard}/{database}/{table}"
REPLICA = "{replica}"
REPLICATED = {"MergeTree": "ReplicatedMergeTree", "ReplacingMergeTree": "ReplicatedReplacingMergeTree"}
_WINDOW = "non_replicated_deduplication_window"


@dataclass(frozen=True, slots=True)
class Place:
    """Where statements are to run."""

    database: str
    cluster: str = ""
    """'' for a server or engine on its own."""
    settings: Mapping[str, int] = field(default_factory=dict)
    """Settings of MergeTree that every table begins with, beside those of the source."""
    is_by_each: bool = False
    """Leave ON CLUSTER out: the statements are given to each server of the cluster, one by one."""

    def table(self, table: str) -> str:
        """The name that is written to and asked, with its database."""
        return f"{name(self.database)}.{name(table)}"

    def stored(self, table: str) -> str:
        """The name of what stores the rows, with its database."""
        return self.table(stored_name(table, self))

    @property
    def apply(self) -> str:
        """The command that makes the schema there."""
        return f"python -m tracker schema --clickhouse {'cluster' if self.cluster else 'single'} --apply"

    @property
    def everywhere(self) -> str:
        """` ON CLUSTER c`, or nothing."""
        return f" ON CLUSTER {name(self.cluster)}" if self.cluster and not self.is_by_each else ""


def stored_name(table: str, place: Place) -> str:
    """The table that stores the rows."""
    return f"{table}_local" if place.cluster else table


def database_form(place: Place) -> str:
    """What makes the database."""
    return f"CREATE DATABASE IF NOT EXISTS {name(place.database)}{place.everywhere}"


def statement_form(said: Understood, known: Collection[str], place: Place) -> tuple[str, ...]:
    """The statements that do there what one statement of the source says, in their order.

    `known`: every table and view of the source, for what a view asks. Raises ConfigError.
    """
    if isinstance(said, CreateTable):
        return tuple(_table(said, place))
    if isinstance(said, CreateView):
        select = _qualified(said.select, known, place)
        return (f"CREATE OR REPLACE VIEW {place.table(said.name)}{place.everywhere} AS\n{select}",)
    return tuple(_alteration(said, place))


def engine_form(table: CreateTable, place: Place) -> EngineClause:
    """The engine of what stores the rows."""
    engine = _with_settings(table.engine, place.settings)
    if not place.cluster:
        return engine
    if engine.name not in REPLICATED:
        raise ConfigError(
            f"{table.name}: {engine.name} has no form for a cluster; there is {', '.join(REPLICATED)}"
        )
    arguments = (literal(REPLICA_PATH), literal(REPLICA), *engine.arguments)
    return EngineClause(REPLICATED[engine.name], arguments, dict(_replicated(engine.clauses)))


def distributed_form(table: CreateTable, place: Place) -> EngineClause:
    """The engine of what is written to and asked on a cluster."""
    values = (place.cluster, place.database, stored_name(table.name, place))
    sharding_key = f"cityHash64({', '.join(table.shard_by)})"
    return EngineClause("Distributed", (*map(literal, values), sharding_key), {})


def _table(table: CreateTable, place: Place) -> Iterator[str]:
    begin = f"CREATE TABLE IF NOT EXISTS {place.stored(table.name)}{place.everywhere}"
    yield f"{begin} {table.columns}\nENGINE = {_written(engine_form(table, place))}"
    if place.cluster:
        begin = f"CREATE TABLE IF NOT EXISTS {place.table(table.name)}{place.everywhere}"
        engine = _written(distributed_form(table, place))
        yield f"{begin} AS {place.stored(table.name)}\nENGINE = {engine}"


def _alteration(altered: AlterTable, place: Place) -> Iterator[str]:
    yield f"ALTER TABLE {place.stored(altered.name)}{place.everywhere} {altered.alterations}"
    if place.cluster and altered.is_for_distributed:
        yield f"ALTER TABLE {place.table(altered.name)}{place.everywhere} {altered.alterations}"


def _written(engine: EngineClause) -> str:
    arguments = f"({', '.join(engine.arguments)})" if engine.arguments else ""
    return "\n".join((engine.name + arguments, *(f"{key} {value}" for key, value in engine.clauses.items())))


def _with_settings(engine: EngineClause, settings: Mapping[str, int]) -> EngineClause:
    switched_on = {key: str(value) for key, value in settings.items() if value}
    if not switched_on:
        return engine
    both = ", ".join(f"{key} = {value}" for key, value in {**engine.settings, **switched_on}.items())
    return replace(engine, clauses={**engine.clauses, "SETTINGS": both})


def _replicated(clauses: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Only replicated tables look for repeated inserts in Keeper; the setting has another name there."""
    for key, value in clauses.items():
        yield key, value.replace(_WINDOW, "replicated_deduplication_window") if key == "SETTINGS" else value


def _qualified(select: str, known: Collection[str], place: Place) -> str:
    """The question with the database before every table of ours."""
    found = significant(select)
    pieces, at = [], 0
    for number, token in enumerate(found):
        if token.text in known and _is_asked(found, number):
            pieces += [select[at : token.start], place.table(token.text)]
            at = token.end
        elif token.text in known and _is_made_here(found, number):
            raise ConfigError(f"a view's WITH has the name of a table: {token.text}")
    return "".join((*pieces, select[at:]))


def _is_asked(found: Sequence[Token], number: int) -> bool:
    before = found[number - 1].word if number else ""
    after = found[number + 1].text if number + 1 < len(found) else ""
    return before in ("FROM", "JOIN") and after not in (".", "(")


def _is_made_here(found: Sequence[Token], number: int) -> bool:
    """`WITH t AS (SELECT ...)` hides a table t."""
    return [token.word for token in found[number + 1 : number + 3]] == ["AS", "("]
