"""DuckDB and ClickHouse have the same views, and they answer the same about the same rows."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.support.batches import batch, line, new_id
from tests.support.clickhouse import embedded_engine
from tests.support.rows import uuid_of
from tests.unit.sinks.places import ask, settings_in
from tracker.sinks.clickhouse_embedded import EmbeddedEngine
from tracker.sinks.clickhouse_schema import FOLDER, Layout, bring_up_to_date
from tracker.sinks.clickhouse_writer import READING, WRITING
from tracker.sinks.duckdb import DuckDbSink
from tracker.tables import CATALOGUE, VIEWS

pytest.importorskip("chdb")
pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDED = {
    "user_sessions": ["hhash", "uid", "vid", "sid", "created_at"],
    "last_event_by_vid_uid_ename": [
        *("oid", "org", "vid", "uid", "ename"),
        *("last_occurred", "last_thread", "days_since"),
    ],
    "last_event_by_user": ["oid", "org", "uid", "event_type", "last_event_time", "days_since_event"],
    "conversion_funnel": [
        *("oid", "org", "vid", "first_touch", "conversion_time", "days_to_conversion"),
        *("conversion_value", "invoice_id"),
    ],
    "event_frequency": [
        *("oid", "org", "event_type", "total_events", "unique_visitors", "unique_users"),
        *("first_seen", "last_seen", "avg_score"),
    ],
    "impression_daily": [
        *("oid", "org", "tid", "campaign_id", "day", "variant_id", "total_impressions"),
        *("anonymous_impressions", "identified_impressions", "unique_visitors", "conversions", "updated_at"),
    ],
    "ltv": [
        *("hhash", "id", "id_type", "paid", "currency", "oid", "org"),
        *("updated_at", "updater", "created_at", "owner"),
    ],
    "ltvu": [
        *("hhash", "uid", "orid", "paid", "currency", "oid", "org"),
        *("updated_at", "updater", "created_at", "owner"),
    ],
    "ltvv": [
        *("hhash", "vid", "orid", "paid", "currency", "oid", "org"),
        *("updated_at", "updater", "created_at", "owner"),
    ],
}
"""Columns of the views that are here beside those of test_duckdb_views."""


OF_PAYMENTS = ("ltv", "ltvu", "ltvv")


class Stores:
    """Both stores, with the same rows."""

    def __init__(self, duckdb: DuckDbSink, clickhouse: EmbeddedEngine) -> None:
        self.duckdb = duckdb
        self.clickhouse = clickhouse

    async def write(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """The rows, into both; into ClickHouse twice, and they stay unmerged."""
        await self.duckdb.write(batch(rows, table))
        data = b"".join(line(row) + b"\n" for row in rows)
        await self.clickhouse.command(f"SYSTEM STOP MERGES {table}")
        for token in (new_id(), new_id()):
            settings = {**READING, **WRITING, "insert_deduplication_token": token}
            await self.clickhouse.insert(table, data, settings)

    async def answers(self, sql: str) -> tuple[list[list[Any]], list[list[Any]]]:
        """What each store says, sorted."""
        theirs = [list(row) for row in (await self.clickhouse.ask(sql)).rows]
        return sorted(await ask(self.duckdb, sql), key=orjson.dumps), sorted(theirs, key=orjson.dumps)

    async def agreed(self, sql: str) -> list[list[Any]]:
        """What both say."""
        ours, theirs = await self.answers(sql)
        assert ours == theirs, sql
        return ours

    async def views(self) -> set[str]:
        """The views that both have."""
        ours = await ask(
            self.duckdb, "SELECT view_name FROM duckdb_views() WHERE NOT internal AND database_name = 'sfpla'"
        )
        theirs = await self.clickhouse.ask(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
        )
        assert {name for (name,) in ours} == {name for (name,) in theirs.rows}
        return {name for (name,) in ours}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    folder: Path = tmp_path_factory.mktemp("both")
    async with embedded_engine(folder) as engine:
        await bring_up_to_date(engine, FOLDER, Layout(durability="memory"))
        sink = DuckDbSink(settings_in(folder))
        await sink.open()
        yield Stores(sink, engine)
        await sink.close()


MORNING = datetime(2026, 11, 30, 23, 59, 59, 990_000, UTC)


def visits(chance: random.Random, number: int) -> dict[str, Any]:
    """An event of few visitors, users and pages, in one of forty milliseconds around a month's end."""

    def some(*values: Any) -> Any:
        return chance.choice(values)

    moment = MORNING + timedelta(milliseconds=chance.randrange(40))
    row = {
        "eid": f"{chance.randrange(16**8):08x}-0000-7000-8000-{chance.randrange(16**8):012x}",
        "created_at": f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}Z",
        "oid": uuid_of(chance.randrange(2)),
        "org": some("acme", "other"),
        "vid": uuid_of(chance.randrange(9)),
        "sid": uuid_of(chance.randrange(20)),
        "uid": some("", *map(uuid_of, range(3))),
        "tid": some("", uuid_of(1), uuid_of(2)),
        "ref": some("", uuid_of(4)),
        "invoice_id": some("", uuid_of(number)),
        "hhash": some("h1", "h2"),
        "ip": some("", "::1", "10.0.0.1"),
        "iphash": some("", "i1", "i2"),
        "bhash": some("b1", "b2"),
        "browser": some("", "firefox ü"),
        "url": some("", "//a/1", "//a/2"),
        "last": some("", "//b/1", "//a/1"),
        "ename": some("", "view", "conversion", "purchase", "paid"),
        "outcome": some("", "won"),
        "sink": some("", "funnel"),
        "rcode": some("", "r1", "r2"),
        "xid": some("", "x"),
        "lat": some(0.0, 1.5, -2.25),
        "lon": some(0.0, 3.5),
        "score": some(0.0, 0.1, 7.7),
        "is_client": some(True, True, False),
        "duration": number,
        "params": {"n": number, "a.b": ["ü", {"c": 1.5}]},
    }
    return {name: value for name, value in row.items() if value != ""}


@pytest_asyncio.fixture(loop_scope="module")
async def stores(opened: Stores) -> Stores:
    """With six hundred mixed events, when they are not there yet, in batches of random size."""
    if await ask(opened.duckdb, "SELECT count(*) FROM events") == [[0]]:
        chance = random.Random(5)
        events = [visits(chance, number) for number in range(600)]
        for at in range(0, 600, 150):
            await opened.write("events", events[at : at + 150])
    return opened


async def test_both_stores_have_the_same_views_with_the_same_columns(stores: Stores) -> None:
    views = await stores.views()
    assert set(ADDED) < views == set(VIEWS)
    for view in views | set(CATALOGUE):
        question = f"SELECT * FROM {view} LIMIT 0"  # noqa: S608 (our own names)
        theirs = list((await stores.clickhouse.ask(question)).columns)
        answer = await stores.duckdb.query(question, max_rows=1, timeout_seconds=5)
        assert list(answer.columns) == theirs
        assert ADDED.get(view, theirs) == theirs


async def test_every_view_says_the_same_of_the_same_events(stores: Stores) -> None:
    for view in await stores.views() - {*OF_PAYMENTS, "events_recent"}:
        rows = await stores.agreed(f"SELECT * FROM {view}")  # noqa: S608 (as above)
        assert len(rows) > 3, view


async def test_of_the_same_millisecond_the_order_of_the_ids_text_decides(stores: Stores) -> None:
    vid, low, high = (uuid_of(number) for number in (500, 501, 502))
    # ClickHouse's own order of UUIDs looks at their second half first.
    first, latest = f"0{low[1:-1]}9", f"1{high[1:-1]}0"
    moment = {
        "vid": vid,
        "created_at": "2026-11-22 03:00:00.000Z",
        "hhash": "tied",
        "ip": "::9",
        "url": "//x",
    }
    await stores.write("events", [moment | {"eid": eid, "ename": eid} for eid in (latest, first)])
    assert await stores.agreed(f"SELECT ename FROM visitors WHERE vid = '{vid}'") == [[first]]  # noqa: S608 (as above)
    assert await stores.agreed(f"SELECT ename FROM visitors_latest WHERE vid = '{vid}'") == [[latest]]  # noqa: S608


async def test_what_is_asked_of_a_visitor_does_not_change_which_event_it_is(stores: Stores) -> None:
    for view, column in (("visitors", "ename"), ("visitors_latest", "url"), ("sessions", "org")):
        whole = await stores.agreed(f"SELECT vid, sid, {column} FROM {view}")  # noqa: S608 (as above)
        for value in {row[2] for row in whole}:
            some = f"SELECT vid, sid, {column} FROM {view} WHERE {column} = '{value}'"  # noqa: S608 (as above)
            assert await stores.agreed(some) == [row for row in whole if row[2] == value]


async def test_recent_events_are_those_of_seven_days(stores: Stores) -> None:
    ages = {"young": timedelta(days=6, hours=23), "old": timedelta(days=7, minutes=1)}
    rows = []
    for number, (name, age) in enumerate(ages.items()):
        moment = f"{datetime.now(UTC) - age:%Y-%m-%d %H:%M:%S}.000Z"
        rows.append({"eid": uuid_of(700 + number), "hhash": "recent", "ename": name, "created_at": moment})
    await stores.write("events", rows)
    assert await stores.agreed("SELECT ename FROM events_recent WHERE hhash = 'recent'") == [["young"]]


async def test_impressions_of_a_thread_add_up(stores: Stores) -> None:
    tid = uuid_of(800)
    seen: dict[str, Any] = {
        "tid": tid,
        "created_at": "2026-11-22 03:00:00.000Z",
        "xid": "a",
        "oid": uuid_of(1),
    }
    rows = [
        {**seen, "vid": uuid_of(1), "ename": "view", "score": 0.5},
        {**seen, "vid": uuid_of(1), "ename": "conversion", "uid": uuid_of(2)},
        {**seen, "vid": uuid_of(2), "ename": "view", "score": 1.0},
        {**seen, "vid": uuid_of(3), "ename": "view"},
        {**seen, "vid": uuid_of(3), "score": 1.0},
    ]
    await stores.write("events", [{"eid": uuid_of(810 + at), **row} for at, row in enumerate(rows)])
    counted = (
        "day, variant_id, total_impressions, anonymous_impressions, identified_impressions, "
        "unique_visitors, conversions"
    )
    assert await stores.agreed(f"SELECT {counted} FROM impression_daily WHERE tid = '{tid}'") == [  # noqa: S608 (as above)
        ["2026-11-22", "a", 3, 2, 1, 2, 1]
    ]


async def test_conversions_have_their_first_touch_and_latest_invoice(stores: Stores) -> None:
    vid = uuid_of(900)
    rows: list[dict[str, Any]] = [
        {"ename": "view", "created_at": "2026-11-20 23:00:00.000Z", "invoice_id": uuid_of(1), "score": 99.0},
        {
            "ename": "purchase",
            "created_at": "2026-11-21 01:00:00.000Z",
            "invoice_id": uuid_of(2),
            "score": 5.0,
        },
        {"ename": "conversion", "created_at": "2026-11-22 01:00:00.000Z", "score": 50.0},
    ]
    await stores.write(
        "events", [{"eid": uuid_of(910 + at), "vid": vid, **row} for at, row in enumerate(rows)]
    )
    columns = "first_touch, conversion_time, days_to_conversion, conversion_value, invoice_id"
    assert await stores.agreed(f"SELECT {columns} FROM conversion_funnel WHERE vid = '{vid}'") == [  # noqa: S608 (as above)
        ["2026-11-20 23:00:00.000", "2026-11-22 01:00:00.000", 2, 5.0, uuid_of(2)]
    ]


def payment(number: int, moment: str = "2026-11-22 03:00:00", **columns: Any) -> dict[str, Any]:
    """A payment of user 1 and visitor 2 at organisation 8, in euro."""
    known = {"hhash": "h", "uid": uuid_of(1), "vid": uuid_of(2), "oid": uuid_of(8), "currency": "EUR"}
    times = dict.fromkeys(("created_at", "updated_at"), f"{moment}.{number:03}Z")
    return {"id": uuid_of(number), "org": "acme", **known, **times, **columns}


async def test_what_was_paid_is_summed_by_payer_currency_and_tenant(stores: Stores) -> None:
    first, second = uuid_of(3), uuid_of(4)
    rows = [
        payment(1, orid=first, revenue="99.99"),
        payment(2, orid=second, revenue="0.1"),
        payment(3, orid=second, revenue="-20.0"),
        payment(4, orid=second, revenue="7.000000001", currency="JPY"),
        payment(5, orid=second, revenue="7", oid=uuid_of(9), hhash="other"),
        payment(6, revenue="0.01", hhash="other", org="later"),
    ]
    for _ in range(2):
        await stores.write("payments", rows)
    of_tenant = f"WHERE oid = '{uuid_of(8)}'"
    question = f"SELECT id_type, id, currency, paid, updated_at FROM ltv {of_tenant}"  # noqa: S608 (our own)
    day = "2026-11-22 03:00:00"
    assert await stores.agreed(question) == [
        ["orid", first, "EUR", "99.990000000", f"{day}.001"],
        ["orid", second, "EUR", "-19.900000000", f"{day}.003"],
        ["orid", second, "JPY", "7.000000001", f"{day}.004"],
        ["uid", uuid_of(1), "EUR", "80.100000000", f"{day}.006"],
        ["uid", uuid_of(1), "JPY", "7.000000001", f"{day}.004"],
        ["vid", uuid_of(2), "EUR", "80.100000000", f"{day}.006"],
        ["vid", uuid_of(2), "JPY", "7.000000001", f"{day}.004"],
    ]
    for view, payer in (("ltvu", "uid"), ("ltvv", "vid")):
        sums = await stores.agreed(f"SELECT {payer}, orid, currency, paid FROM {view} {of_tenant}")  # noqa: S608
        assert [row[1:] for row in sums] == [
            [first, "EUR", "99.990000000"],
            [second, "EUR", "-19.900000000"],
            [second, "JPY", "7.000000001"],
        ]
    for view in OF_PAYMENTS:
        assert await stores.agreed(f"SELECT * FROM {view}")  # noqa: S608 (as above)


async def test_the_same_payment_again_days_later_replaces_itself(stores: Stores) -> None:
    oid = uuid_of(40)
    sent = [("2026-11-30 23:59:59", "5"), ("2026-12-02 00:00:00", "5.00"), ("2027-01-09 12:00:00", "6")]
    for moment, amount in sent:
        await stores.write("payments", [payment(41, moment, oid=oid, orid=uuid_of(3), revenue=amount)])
    within_one = [payment(42, m, oid=oid, orid=uuid_of(3), revenue=a) for m, a in reversed(sent)]
    await stores.write("payments", within_one)
    for view in ("ltvu", "ltvv"):
        question = f"SELECT paid, updated_at FROM {view} WHERE oid = '{oid}'"  # noqa: S608 (as above)
        assert await stores.agreed(question) == [["12.000000000", "2027-01-09 12:00:00.042"]]


async def test_without_an_organisation_each_host_has_its_own_sums(stores: Stores) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    rows = [payment(50 + at, oid=nobody, hhash=host, revenue="1") for at, host in enumerate(("h", "h", "i"))]
    await stores.write("payments", rows)
    question = f"SELECT hhash, paid FROM ltv WHERE oid = '{nobody}' AND id_type = 'uid'"  # noqa: S608 (as above)
    assert await stores.agreed(question) == [["h", "2.000000000"], ["i", "1.000000000"]]


async def test_a_tenth_and_two_tenths_ten_thousand_times_are_three_thousand(stores: Stores) -> None:
    oid = uuid_of(60)
    amounts = ("0.1", "0.2")
    rows = [
        payment(number % 1000, oid=oid, id=uuid_of(number), revenue=amounts[number % 2])
        for number in range(20_000)
    ]
    await stores.write("payments", rows)
    question = f"SELECT DISTINCT paid FROM ltv WHERE oid = '{oid}'"  # noqa: S608 (as above)
    assert await stores.agreed(question) == [["3000.000000000"]]


async def test_sums_of_the_largest_amounts_do_not_run_over(stores: Stores) -> None:
    largest = "99999999999999999999.999999999"
    rows = [payment(at, oid=uuid_of(70), revenue=largest) for at in range(100)]
    await stores.write("payments", rows)
    question = f"SELECT DISTINCT paid FROM ltv WHERE oid = '{uuid_of(70)}'"  # noqa: S608 (as above)
    assert await stores.agreed(question) == [["9999999999999999999999.999999900"]]


async def test_the_readmes_questions_are_answered(stores: Stores) -> None:
    """`FINAL` is ClickHouse's own word, on tables and views alike."""
    for question in (
        "SELECT ename, count() FROM sfpla.events FINAL GROUP BY ename",
        "SELECT * FROM sfpla.ltv FINAL ORDER BY updated_at DESC LIMIT 10",
        "SELECT id, sum(total) FROM sfpla.counters FINAL GROUP BY id",
    ):
        await stores.clickhouse.ask(question)
