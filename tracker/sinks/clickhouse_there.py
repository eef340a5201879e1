"""What tables a ClickHouse database has, as its system tables show them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tracker.sinks.clickhouse_engine import Settings, Told
from tracker.sinks.clickhouse_sql import literal

TABLES = "SELECT name, engine, engine_full FROM system.tables"
COLUMNS = "SELECT table, name, type, default_kind, default_expression FROM system.columns"


class Database(Protocol):
    """The part of an `Engine` that changes and describes a database."""

    @property
    def place(self) -> str:
        """As `Engine.place`."""

    @property
    def database(self) -> str:
        """As `Engine.database`."""

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        """As `Engine.command`."""

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        """As `Engine.ask`."""


@dataclass(frozen=True, slots=True)
class ColumnThere:
    """A column as system.columns shows it."""

    type: str
    default_kind: str
    """'' | DEFAULT | MATERIALIZED | ALIAS | EPHEMERAL"""
    default: str


@dataclass(frozen=True, slots=True)
class TableThere:
    """A table or view as system.tables shows it."""

    engine: str
    engine_full: str
    """The engine with its arguments and clauses; '' for a view."""
    columns: dict[str, ColumnThere] = field(default_factory=dict)

    @property
    def is_view(self) -> bool:
        """A plain view, which stores nothing."""
        return self.engine == "View"


async def stored_tables(engine: Database) -> Mapping[str, TableThere]:
    """Every table and view of the database that its user may see, with their columns.

    Raises Complaint and Unreachable.
    """
    where = f"WHERE database = {literal(engine.database)}"
    told = await engine.ask(f"{TABLES} {where}", anywhere=True)
    tables = {name: TableThere(*values) for name, *values in told.rows}
    told = await engine.ask(f"{COLUMNS} {where} ORDER BY table, position", anywhere=True)
    for table, name, *values in told.rows:
        if table in tables:
            tables[table].columns[name] = ColumnThere(*values)
    return tables
