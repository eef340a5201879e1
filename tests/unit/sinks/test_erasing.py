"""One person's rows in DuckDB and ClickHouse: the same are counted, exported, erased; no other changes."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from tests.integration.test_side_by_side import rows_of
from tests.support.batches import batch
from tests.support.clickhouse import clickhouse_settings, made_before
from tests.support.clickhouse_process import serving
from tests.support.clickhouse_writes import over_http
from tests.unit.sinks.places import settings_in
from tracker.errors import QueryError
from tracker.sinks.base import Sink, Store
from tracker.sinks.clickhouse import ClickHouseSink
from tracker.sinks.clickhouse_cluster_form import Place
from tracker.sinks.clickhouse_engine import Engine, Told
from tracker.sinks.clickhouse_erasing import ClickHousePersons
from tracker.sinks.clickhouse_places import At
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.erasing import PersonStore, eraser
from tracker.sinks.registry import SinkSettings
from tracker.tables import CATALOGUE, VIEWS, ZERO_UUID, Kind
from tracker.tables.persons import (
    MENTIONS,
    NOT_PERSONS,
    OTHER_IDS,
    USER,
    VISITOR,
    Person,
    is_of,
    literal,
    without_mentions,
)

IDS = [f"00000000-0000-0000-0000-00000000000{digit}" for digit in range(6)]


def person(*, visitors: str = "", users: str = "", known: str = "", **more: Any) -> Person:
    all_of, of, seen_as = (frozenset(IDS[int(one)] for one in digits) for digits in (visitors, users, known))
    return Person(all_of, of, seen_as, **more)


PEOPLE = {
    "a visitor": person(visitors="1"),
    "a user and the visitors it was seen as": person(users="2", known="12"),
    "visitors by their e-mail": person(visitors="34", ehashes=frozenset({"won"})),
    "within an organisation": person(visitors="12", users="3", oid=IDS[4]),
    "but for what is kept": person(visitors="1234", keep=frozenset({"payments", "agreed"})),
}


def few(name: str, kind: Kind, value: Any, chance: random.Random) -> Any:
    """The value, or one of few people where it names some."""
    if name in MENTIONS | {VISITOR, USER, "oid"}:
        return chance.sample(IDS[1:], 2) if kind is Kind.UUIDS else chance.choice(IDS)
    if kind is Kind.TIMESTAMP:  # of one month: ClickHouse has fewer parts to write anew
        return f"2026-10{value[7:]}"
    return "1.250000000" if kind is Kind.DECIMAL else value


FEW = ("events", "emails", "userhosts", "mstore", "payments", "agreements", "counters")


async def fill(sinks: list[Sink], chance: random.Random, tables: Iterable[str] = FEW) -> None:
    for table in map(CATALOGUE.__getitem__, tables):
        kinds = table.kinds()
        rows = [
            {name: few(name, kinds[name], value, chance) for name, value in row.items()}
            for row in rows_of(table, chance, 40)
        ]
        for start in (0, 20):  # in two parts of the store, so that older versions lie beside newer ones
            sent = batch([json.dumps(row).encode() for row in rows[start : start + 20]], table.name)
            for sink in sinks:
                await sink.write(sent)


async def current(store: Any, table: str) -> list[dict[str, Any]]:
    found = await store.find(table, {}, limit=100_000)
    return sorted(found, key=repr)


def settings_of(sink: Any) -> SinkSettings:
    if isinstance(sink, ClickHouseSink):
        return sink._settings
    return SinkSettings("duckdb:test", "duckdb", str(sink._settings.database), sink._settings.handover)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[list[Any]]:
    sinks: list[Any] = [DuckDbSink(settings_in(tmp_path)), ClickHouseSink(made_before(tmp_path))]
    for sink in sinks:
        await sink.open()
    yield sinks
    for sink in sinks:
        await sink.close()


async def exported(store: PersonStore, who: Person) -> Counter[str]:
    return Counter([table async for table, _ in store.rows(who)])


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("a user and the visitors it was seen as", FEW),
        *(pytest.param(name, CATALOGUE, marks=pytest.mark.long, id=name) for name in PEOPLE),
    ],
)
async def test_both_stores_erase_the_person_and_nothing_else(
    both: list[Any], name: str, tables: Iterable[str]
) -> None:
    who = PEOPLE[name]
    await fill(both, random.Random(3), tables)
    told = []
    for sink in both:
        before = {table: await current(sink, table) for table in CATALOGUE}
        left = {
            table: [row for row in rows if not is_of(who, table, row)] if table in who.tables() else rows
            for table, rows in before.items()
        }
        for table in who.tables():
            zero = dict.fromkeys(MENTIONS & CATALOGUE[table].kinds().keys(), ZERO_UUID)
            left[table] = [{**row, **zero, **without_mentions(who, table, row)} for row in left[table]]
        async with eraser(settings_of(sink), sink) as store:
            counts = await store.counts(who)
            assert await exported(store, who) == {
                table: rows for table in who.tables() if (rows := len(before[table]) - len(left[table]))
            }
            await store.erase(who)
            assert await store.counts(who) == {}
        for table in CATALOGUE:
            assert await current(sink, table) == sorted(left[table], key=repr), table
        told.append(counts)
    assert told[0] == told[1]
    assert sum(told[0].values()) > 20


async def test_visitors_are_found_by_user_and_by_e_mail(both: list[Any]) -> None:
    await fill(both, random.Random(4))
    found = []
    for sink in both:
        async with eraser(settings_of(sink), sink) as store:
            visitors = await store.visitors([IDS[2]], [])
            by_email = await store.visitors([], ["won"])
            found.append((visitors, by_email))
    assert found[0] == found[1]
    assert all(found[0])
    rows = [*await current(both[0], "events"), *await current(both[0], "userhosts")]
    assert found[0][0] == {row["vid"] for row in rows if row["uid"] == IDS[2]} - {ZERO_UUID}


@pytest.mark.long
async def test_without_a_server_the_files_themselves_are_changed(tmp_path: Path) -> None:
    who = PEOPLE["a visitor"]
    for sink in (DuckDbSink(settings_in(tmp_path)), ClickHouseSink(made_before(tmp_path))):
        await sink.open()
        await fill([sink], random.Random(5))
        await sink.close()
        async with eraser(settings_of(sink), None) as store:
            assert await store.counts(who)
            await store.erase(who)
        async with eraser(settings_of(sink), None) as store:
            assert await store.counts(who) == {}


@pytest.mark.long
async def test_servers_that_are_no_replicas_are_all_erased(tmp_path: Path) -> None:
    who = PEOPLE["a visitor"]
    with serving(tmp_path / "first") as first, serving(tmp_path / "second") as second:
        for number, server in enumerate((first, second)):
            one = ClickHouseSink(over_http(tmp_path / str(number), server.port))
            await one.open()
            await fill([one], random.Random(number))
            await one.close()
        both = ClickHouseSink(over_http(tmp_path, first.port, second.port))
        await both.open()
        async with eraser(settings_of(both), both) as store:
            before = await store.counts(who)
            assert await exported(store, who)
            await store.erase(who)
            assert await store.counts(who) == {}
        assert before["events"] > 5
        second.kill()
        with pytest.raises(QueryError):
            async with eraser(settings_of(both), both):
                raise AssertionError
        await both.close()


async def test_on_a_cluster_every_replica_is_told() -> None:
    engine = Recorded()
    place = At(cast(SinkSettings, None), cast(Engine, engine), Place("sfpla", "c"))
    await ClickHousePersons(cast(Store, None), [place]).erase(PEOPLE["a visitor"])
    told = {command.split(" WHERE ")[0] for command in engine.commands}
    assert "ALTER TABLE sfpla.events_local ON CLUSTER c DELETE" in told
    assert all("_local ON CLUSTER c " in command for command in engine.commands)
    assert all(settings["mutations_sync"] == 2 for settings in engine.settings)
    (emails,) = (command for command in engine.commands if "emails" in command)
    assert "(hhash, ehash) IN (SELECT hhash, ehash FROM sfpla.emails_local FINAL WHERE " in emails


class Recorded:
    """Notes what it is told; every question is answered with 1."""

    place = "recorded"

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.settings: list[Any] = []

    async def command(self, sql: str, settings: Any) -> None:
        self.commands.append(sql)
        self.settings.append(settings)

    async def ask(self, sql: str, settings: Any) -> Told:
        return Told(("n",), [(1,)])


async def test_a_store_that_never_was_is_said_to_be_away(tmp_path: Path) -> None:
    for settings in (clickhouse_settings(tmp_path), settings_of(DuckDbSink(settings_in(tmp_path)))):
        with pytest.raises(QueryError, match="nothing has been stored there yet"):
            async with eraser(settings, None):
                raise AssertionError


def test_every_column_of_ids_is_known_to_name_people_or_things() -> None:
    for table in CATALOGUE.values():
        for name, kind in table.kinds().items():
            if kind in (Kind.UUID, Kind.UUIDS):
                assert name in MENTIONS | OTHER_IDS | {VISITOR, USER}, f"{table.name}.{name}"


def test_every_table_with_a_visitor_is_searched() -> None:
    tables = person(visitors="1").tables()
    assert {name for name, table in CATALOGUE.items() if VISITOR in table.kinds()} <= set(tables)
    assert not NOT_PERSONS.intersection(tables)
    assert not set(VIEWS).intersection(tables)


@pytest.mark.parametrize("text", ["a'b", "a\\b", "a\0b", "a\nb", "\ud800"])
def test_text_that_stores_quote_differently_is_never_put_into_sql(text: str) -> None:
    with pytest.raises(ValueError, match="quoted"):
        literal(text)
