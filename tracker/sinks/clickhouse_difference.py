"""What differs between the tables that rows need and those that are there, and what mends it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from tracker.sinks.clickhouse_cluster_form import (
    Place,
    distributed_form,
    engine_form,
    statement_form,
    stored_name,
)
from tracker.sinks.clickhouse_source import Source
from tracker.sinks.clickhouse_sql import compact, name
from tracker.sinks.clickhouse_statements import CreateTable, EngineClause, Understood, engine_clause
from tracker.sinks.clickhouse_there import ColumnThere, TableThere
from tracker.sinks.clickhouse_types import TYPES, default_expression
from tracker.tables import CATALOGUE, Column


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not fit."""

    fact: str
    """`sfpla.events has no column lat Float64`"""
    remedy: str = ""
    """What a person does; '' when `mending` is done by the command."""
    mending: tuple[str, ...] = ()
    """Statements that mend it and cannot harm what is stored."""

    def sentence(self, place: Place) -> str:
        """The fact and the remedy."""
        return f"{self.fact}: {self.remedy or place.apply}"


def differences(
    source: Source, there: Mapping[str, TableThere], place: Place
) -> dict[str, tuple[Difference, ...]]:
    """Every table and view that does not fit -> all that differs; a column more is no difference."""
    tables = source.tables
    found = {
        table: tuple(_of_table(tables[table], source, there, place)) for table in CATALOGUE if table in tables
    }
    found |= {view: tuple(_of_view(view, source, there.get(view), place)) for view in source.views}
    return {one: ones for one, ones in found.items() if ones}


def _of_table(
    table: CreateTable, source: Source, there: Mapping[str, TableThere], place: Place
) -> Iterator[Difference]:
    layers = [(stored_name(table.name, place), engine_form(table, place))]
    if place.cluster:
        layers.append((table.name, distributed_form(table, place)))
    for layer, engine in layers:
        found = there.get(layer)
        if found is None:
            made: tuple[Understood, ...] = (table, *source.alterations(table.name))
            mending = tuple(chain.from_iterable(statement_form(said, (), place) for said in made))
            yield Difference(f"{place.table(layer)} is missing", mending=mending)
        elif found.engine not in _as_good_as(engine.name):
            yield _other_engine(place.table(layer), found, engine.name, place)
        else:
            yield from _of_engine(place.table(layer), found, engine, place)
            yield from _of_columns(table.name, place.table(layer), found, place)


def _of_view(view: str, source: Source, found: TableThere | None, place: Place) -> Iterator[Difference]:
    if found is None:
        mending = statement_form(source.views[view], source.names, place)
        yield Difference(f"{place.table(view)} is missing", mending=mending)
    elif not found.is_view:
        yield _other_engine(place.table(view), found, "a view", place)


def _as_good_as(engine: str) -> tuple[str, ...]:
    """Itself, and what merges rows alike: replicated by hand, or in ClickHouse Cloud."""
    return engine, f"Replicated{engine}", f"Shared{engine.removeprefix('Replicated')}"


def _other_engine(table: str, found: TableThere, wanted: str, place: Place) -> Difference:
    what = "a view" if found.is_view else found.engine
    return Difference(f"{table} is {what} instead of {wanted}", _anew(place))


def _of_engine(table: str, found: TableThere, engine: EngineClause, place: Place) -> Iterator[Difference]:
    """Another version of a replacing table, target of a Distributed one, or sorting key."""
    there = engine_clause(found.engine_full)
    if _essence(there) != _essence(engine):
        yield Difference(f"{table} is {_called(there)} instead of {_called(engine)}", _anew(place))


def _essence(engine: EngineClause) -> tuple[str, ...]:
    """What matters to rows; where replicas meet does not."""
    arguments = engine.arguments[2:] if engine.name.startswith(("Replicated", "Shared")) else engine.arguments
    return tuple(map(compact, (*arguments, "ORDER BY", *engine.sorting_columns)))


def _of_columns(table: str, layer: str, found: TableThere, place: Place) -> Iterator[Difference]:
    alter = f"ALTER TABLE {layer}{place.everywhere}"
    for column in CATALOGUE[table].columns:
        there, wanted = found.columns.get(column.name), _declared(column)
        if there is None:
            mending = f"{alter} ADD COLUMN IF NOT EXISTS {name(column.name)} {wanted}"
            yield Difference(f"{layer} has no column {column.name} {wanted}", mending=(mending,))
        elif (said := _said(there)) != wanted:
            fact = f"{layer}: column {column.name} is {said} instead of {wanted}"
            yield Difference(fact, f"{alter} MODIFY COLUMN {name(column.name)} {wanted}")


def _declared(column: Column) -> str:
    default = default_expression(column)
    return f"{TYPES[column.kind]} DEFAULT {default}" if default else TYPES[column.kind]


def _said(there: ColumnThere) -> str:
    return f"{there.type} {there.default_kind} {there.default}" if there.default_kind else there.type


def _called(engine: EngineClause) -> str:
    """`ReplacingMergeTree(v) ORDER BY (a, b)`."""
    arguments = f"({', '.join(engine.arguments)})" if engine.arguments else ""
    order = f" ORDER BY ({', '.join(engine.sorting_columns)})" if engine.sorting_columns else ""
    return f"{engine.name}{arguments}{order}"


def _anew(place: Place) -> str:
    aside = (
        "copy its rows into another database, drop it"
        if place.cluster
        else "give it another name (RENAME TABLE)"
    )
    return f"cannot be altered; {aside}, run {place.apply} and copy the rows from there"
