"""The one source of ClickHouse's tables and views: the numbered SQL files, and the table of those applied."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import ConfigError
from tracker.sinks.clickhouse_cluster_form import Place, database_form, statement_form
from tracker.sinks.clickhouse_sql import literal, split
from tracker.sinks.clickhouse_statements import AlterTable, CreateTable, CreateView, Understood, understand
from tracker.sinks.migrations import Migration, read_migrations

LEDGER = "schema_migrations"
LEDGER_SQL = f"""CREATE TABLE IF NOT EXISTS {LEDGER} (
    number UInt32,
    name String,
    digest String,
    applied_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY number;"""


@dataclass(frozen=True, slots=True)
class Source:
    """The numbered files of a folder, read and understood."""

    migrations: tuple[Migration, ...]
    statements: tuple[tuple[Understood, ...], ...]
    """Of each migration."""

    @property
    def tables(self) -> dict[str, CreateTable]:
        """Every table by name, as it is first made."""
        return {said.name: said for said in self._all() if isinstance(said, CreateTable)}

    @property
    def views(self) -> dict[str, CreateView]:
        """Every view by name, as it is made last."""
        return {said.name: said for said in self._all() if isinstance(said, CreateView)}

    def alterations(self, table: str) -> tuple[AlterTable, ...]:
        """What makes a table, as it is first made, into what it is now."""
        return tuple(said for said in self._all() if isinstance(said, AlterTable) and said.name == table)

    @property
    def names(self) -> frozenset[str]:
        """Of every table and view."""
        return frozenset(self.tables) | frozenset(self.views)

    def forms(self, migration: Migration, place: Place) -> Iterator[str]:
        """What a migration runs there, its record not among it."""
        names = self.names
        for said in self.statements[migration.number - 1]:
            yield from statement_form(said, names, place)

    def _all(self) -> Iterator[Understood]:
        return (said for statements in self.statements for said in statements)


def read_source(folder: Path) -> Source:
    """The schema of a folder. Raises ConfigError, also for a statement of another kind than is allowed."""
    migrations = read_migrations(folder)
    return Source(migrations, tuple(_understood(migration) for migration in migrations))


def beginnings(place: Place) -> tuple[str, ...]:
    """What makes the database and its table of applied migrations."""
    (statement,) = split(LEDGER_SQL)
    return (database_form(place), *statement_form(understand(statement), (), place))


def record(migration: Migration, place: Place) -> str:
    """What remembers that a migration was applied."""
    values = f"{migration.number}, {literal(migration.name)}, {literal(migration.digest)}, now64(3)"
    columns = "(number, name, digest, applied_at)"
    return f"INSERT INTO {place.table(LEDGER)} {columns} VALUES ({values})"  # noqa: S608 (our own words)


def script(source: Source, place: Place) -> Iterator[str]:
    """All that makes an empty database into the whole schema, and remembers it."""
    yield from beginnings(place)
    for migration in source.migrations:
        yield from source.forms(migration, place)
        yield record(migration, place)


def _understood(migration: Migration) -> tuple[Understood, ...]:
    try:
        return tuple(understand(statement) for statement in split(migration.sql))
    except ConfigError as failure:
        raise ConfigError(f"{migration.name}: {failure}") from failure
