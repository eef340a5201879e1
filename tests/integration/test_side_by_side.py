"""DuckDB and ClickHouse hold the same rows: every table and view of both, asked with the same questions.

The one difference allowed: of JSON documents ClickHouse keeps neither nulls nor empty objects. Integers
beyond 64 bits are text in both answers.
"""

import asyncio
import json
import random
import string
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Protocol, cast

import pytest

from tests.support.accounts import account
from tests.support.batches import batch, new_id
from tests.support.clickhouse import clickhouse_settings, without_nothings
from tests.support.server import Server, running
from tests.unit.sinks.places import settings_in
from tracker.commands.client import ControlClient
from tracker.commands.settings import load_config
from tracker.sinks.base import Answer, Sink
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.registry import make_sink
from tracker.tables import CATALOGUE, Column, Kind, Table

pytestmark = pytest.mark.long

DUCKDB_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'sfpla'"
CLICKHOUSE_TABLES = "SELECT name FROM system.tables WHERE database = 'sfpla'"
OF_ONE_STORE = {"ledger", "migrations", "schema_migrations"}
"""Tables in which a store keeps its own books."""
KEYS = ("a", "A", "b.c", ".", "Ü", "e f", "", 'x"y', "k`", "l\\m", "0", "true", "日本")
TEXTS = (
    "",
    "x",
    "1",
    "true",
    "2026-11-22",
    "2026-11-22T03:00:00Z",
    "ünï😀\u2028",
    "it's \\ \"",
    "null",
    "a" * 300,
)
NUMBERS = (0, 1, -1, 2**40, 0.1, 1.5, -2.25, 1e300, 5e-324)
HUGE = (2**63 - 1, -(2**63), 2**64 - 1, 2**70, -(2**80))


def document(chance: random.Random, depth: int = 4) -> dict[str, Any]:
    """A JSON object of any shape."""
    return {chance.choice(KEYS): value(chance, depth - 1) for _ in range(chance.randint(0, 5))}


def value(chance: random.Random, depth: int) -> Any:
    """Any JSON value."""
    kind = chance.random()
    if kind < 0.25 and depth > 0:
        return document(chance, depth)
    if kind < 0.5 and depth > 0:
        return [value(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    return chance.choice((*TEXTS, *NUMBERS, True, False))


def params(chance: random.Random) -> dict[str, Any]:
    """A document with everything that may stand at its top."""
    whole = document(chance)
    whole["n"] = chance.choice((*HUGE, None, {}, [None, 1, "x", None], [{}], [[]]))
    return whole


def events(chance: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Events as clients and servers send them, with everything that makes rows beside them."""
    people = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(40)]
    for number in range(count):
        made: dict[str, Any] = {
            "vid": chance.choice(people),
            "sid": chance.choice(people),
            "oid": chance.choice(people[:3]),
            "ename": chance.choice(("page_view", "Purchase", "visited", "signup", "ünï", "session_start")),
            "etyp": chance.choice(("view", "session", "")),
            "url": f"https://Example.com/{chance.choice(string.ascii_letters)}?q={number}",
            "ref": chance.choice(("", people[0])),
            "source": chance.choice(("", "News", "mail")),
            "campaign": chance.choice(("", "Autumn")),
            "score": chance.choice((0, 1, 2.5, "7")),
            "lat": chance.uniform(-90, 90),
            "w": chance.choice((0, 1920, "360px", 2**40)),
            "params": params(chance),
            "Extra.Key": chance.choice(TEXTS),
        }
        made |= chance.choice(extras(people, chance, number))
        yield made


def extras(people: Sequence[str], chance: random.Random, number: int) -> Sequence[dict[str, Any]]:
    """What only some events have: a person, a thread, a message, interests, a new visitor, an own id."""
    return (
        {},
        {"vid": ""},
        {"eid": str(uuid.UUID(int=number + 1, version=4))},
        {"email": f"{number % 50}@example.org", "cell": f"+49 {number % 30}", "uname": f"U{number % 20}"},
        {"uid": chance.choice(people)},
        {
            "tid": people[5],
            "campaign_status": "active",
            "cats": ["a", "b"],
            "audience_params": document(chance),
        },
        {"tid": people[6], "subject": "Hello", "data": document(chance), "users": [people[1]], "urgency": 3},
        {"audience_tags": ["Runner", f"t{number % 7}"], "content_tags": "shoes, hats"},
        {"outcome": "won", "revenue": "12.50", "currency": "EUR", "price": 3},
    )


def logs(chance: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Log lines around the end of months, to the nanosecond."""
    ends = (1_793_491_199, 1_793_491_200, 1_796_083_199)
    for number in range(count):
        yield {
            "id": f"topic {number % 3}",
            "level": number % 5,
            "ltimenss": chance.choice(ends) * 10**9 + chance.randrange(10**9),
            "msg": chance.choice(TEXTS),
            "ip": f"10.0.0.{number % 256}",
            "params": params(chance),
        }


def canonical(answer: Answer) -> Counter[str]:
    """Its rows in any order, as JSON with names and documents as ClickHouse keeps them."""
    rows = (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
    return Counter(
        json.dumps({name: kept(cell) for name, cell in row.items()}, sort_keys=True) for row in rows
    )


def kept(cell: Any) -> Any:
    """A value of a column; 1.0 in a document is the number 1."""
    if isinstance(cell, dict | list):
        return same_numbers(without_nothings(cell))
    return cell


def same_numbers(cell: Any) -> Any:
    if isinstance(cell, dict):
        return {key: same_numbers(part) for key, part in cell.items()}
    if isinstance(cell, list):
        return [same_numbers(part) for part in cell]
    return int(cell) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53 else cell


class Queried(Protocol):
    """What answers questions, a store or a server that asks one."""

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """As `Store.query`."""


async def assert_same(first: Queried, second: Queried) -> dict[str, int]:
    """Every table and view of both; how many rows each has."""
    names = await names_in(first, DUCKDB_TABLES)
    assert names == await names_in(second, CLICKHOUSE_TABLES)
    assert names >= set(CATALOGUE)
    counts, differences = {}, {}
    for name in sorted(names):
        one, other = [await everything(store, name) for store in (first, second)]
        assert set(one.columns) == set(other.columns), name
        left, right = canonical(one), canonical(other)
        counts[name] = left.total()
        if left != right:
            differences[name] = f"{list((left - right).items())[:1]} | {list((right - left).items())[:1]}"
    assert differences == {}
    return counts


async def everything(store: Queried, name: str) -> Answer:
    return await store.query(f"SELECT * FROM {name}", max_rows=1_000_000, timeout_seconds=60)  # noqa: S608 (a table's name)


async def names_in(store: Queried, sql: str) -> set[str]:
    answer = await store.query(sql, max_rows=1000, timeout_seconds=60)
    return {str(row[0]) for row in answer.rows} - OF_ONE_STORE


class Asked:
    """One store of a running server, through its control socket."""

    def __init__(self, control: ControlClient, name: str) -> None:
        self._control = control
        self._name = name

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        command = {"store": self._name, "sql": sql, "max_rows": max_rows, "timeout_seconds": timeout_seconds}
        told = await self._control.post("/sql", command)
        return Answer(tuple(told["columns"]), told["rows"], told["is_cut"])


def stores_in(folder: Path) -> list[dict[str, Any]]:
    return [
        {"Service": "duckdb", "Name": "file", "Context": str(folder / "tracker.duckdb")},
        {
            "Service": "clickhouse",
            "Name": "engine",
            "Hosts": ["embedded"],
            "Context": str(folder / "clickhouse"),
        },
    ]


async def delivered(control: ControlClient, seconds: float = 60) -> None:
    """Wait until nothing waits for any store, and nothing was refused by one."""
    deadline, tables = time.monotonic() + seconds, list[Any]()
    while time.monotonic() < deadline:
        tables = (await control.get("/spool"))["tables"]
        if not any(table["waiting"] for table in tables):
            assert [table for table in tables if table["dead"]] == []
            return
        await asyncio.sleep(0.2)
    raise AssertionError([table for table in tables if table["waiting"]])


def send(server: Server, chance: random.Random) -> int:
    """A few thousand events, log lines, updates and counts by every way in; how many events."""
    made = list(events(chance, 3000))
    for start in range(0, 2000, 100):
        assert server.post("/tr/v1/tr/", made[start : start + 100])[0] == 200
    for start in range(2000, 3000, 100):
        assert server.post("/tr/v1/str/", made[start : start + 100])[0] == 200
    assert (
        server.get("/tr/v1/tr/vid/x/ename/visited?b.c=1&url=https://example.com/", {"User-Agent": "Ünï"})[0]
        == 200
    )
    lines = {
        "log": logs(chance, 300),
        "update": (
            {"id": f"u{n % 9}", "updated": 10**12 + n, "msg": chance.choice(TEXTS)} for n in range(50)
        ),
        "count": ({"id": f"c{number % 4}"} for number in range(50)),
    }
    for kind, values in lines.items():
        typed = "".join(json.dumps(line) + "\n" for line in values)
        done = server.command("send", "--config", str(server.config), "--kind", kind, "-", stdin=typed)
        assert (done.returncode, done.stderr) == (0, "")
    return len(made) + 1


def send_records(server: Server, chance: random.Random) -> None:
    """Payments, short links and clicks on them, and consents; some of each twice."""
    people = [f"person-{number}" for number in range(20)]
    for number in range(30):
        items = [payment(chance, people) for _ in range(20)]
        for _ in range(1 + number % 2):
            assert server.post("/tr/v1/ltv/", {"oid": "shop", "payments": items})[0] == 200
    headers = {"Authorization": account(server)}
    for number in range(40):
        link = {"urlfrom": f"https://S.example/{number % 30}", "urlto": f"https://long.example/{number}?b=1"}
        assert server.post("/tr/v1/rpi/redirect", link, headers)[0] == 200
        assert led_to(server, f"/{number % 30}") == link["urlto"]
    for number in range(60):
        consent = {
            "vid": people[number % 20],
            "cflags": number,
            "compliances": document(chance),
            "lat": 1,
            "lon": 2,
        }
        assert server.post("/tr/v1/ppi/agree", consent)[0] == 200


def led_to(server: Server, path: str) -> str | None:
    """Where a short link leads."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        connection.request("GET", path, headers={"Host": "s.example"})
        return connection.getresponse().getheader("Location")


def payment(chance: random.Random, people: Sequence[str]) -> dict[str, Any]:
    """One item: bought, paid back, with and without an order of its own."""
    made = {
        "uid": chance.choice(people),
        "vid": chance.choice(people),
        "currency": chance.choice(("eur", "USD", "JPY")),
        "amt": chance.choice((0.1, 0.2, "99.99", -5, "0.000000001", 12345678901234567890)),
        "paid_at": chance.choice(("2026-11-22", "2026-10-31T23:59:59.999Z", 1_793_491_199)),
        "product": chance.choice(TEXTS),
        "extra": document(chance),
    }
    return made | chance.choice(
        ({}, {"orid": f"order-{chance.randrange(9)}"}, {"invid": "invoice-1"}, {"id": "p1"})
    )


MONEY = (
    "SELECT sum(revenue) FROM payments",
    "SELECT id_type, currency, sum(paid) FROM ltv GROUP BY id_type, currency",
    "SELECT currency, count(*), sum(paid) FROM ltvu GROUP BY currency",
    "SELECT currency, count(*), sum(paid) FROM ltvv GROUP BY currency",
)


async def test_money_links_and_consents_are_the_same_in_both(tmp_path: Path) -> None:
    with running(tmp_path, Notify=stores_in(tmp_path)) as server:
        send_records(server, random.Random(3))
        control = ControlClient(load_config(server.config).admin.socket)
        await delivered(control)
        stores = Asked(control, "file"), Asked(control, "engine")
        counts = await assert_same(*stores)
        for question in MONEY:
            one, other = [await asked.query(question, max_rows=100, timeout_seconds=60) for asked in stores]
            assert sorted(map(str, one.rows)) == sorted(map(str, other.rows)), question
            assert one.rows
    assert counts["agreements"] == 20
    assert counts["agreed"] == 60
    assert (counts["redirects"], counts["redirect_history"]) == (30, 40)
    assert {
        name for name in ("payments", "ltv", "ltvu", "ltvv", "jurisdictions", "accounts") if not counts[name]
    } == set()


async def test_what_came_over_http_is_the_same_in_both(tmp_path: Path) -> None:
    with running(tmp_path, Notify=stores_in(tmp_path), UseRemoveIP=False) as server:
        count = send(server, random.Random(1))
        control = ControlClient(load_config(server.config).admin.socket)
        await delivered(control)
        counts = await assert_same(Asked(control, "file"), Asked(control, "engine"))
        assert counts["events"] == count
        assert counts["logs"] == 300
        some = {
            "visitors",
            "sessions",
            "hits",
            "ips",
            "mthreads",
            "mstore",
            "visitor_interests",
            "emails",
            "updates",
        }
        assert {name for name in some if not counts[name]} == set()
        assert server.stop() == 0
    told = server.command(
        "sql", "--config", str(server.config), "--store", "engine", "--csv", "SELECT count(*) FROM events"
    )
    assert told.stdout == f"count()\n{count}\n", told.stderr


def rows_of(table: Table, chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Rows with every column set, over several months; of versioned tables several of each key."""
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        row = {column.name: cell(column, chance) for column in table.columns}
        if table.version is not None and rows and chance.random() < 0.3:
            row |= {name: rows[-1][name] for name in table.key}
        rows.append(row)
    return rows


def cell(column: Column, chance: random.Random) -> Any:
    """A value of a column: small ranges, so that views have something to group."""
    whole = {Kind.INT8: 7, Kind.INT16: 15, Kind.INT32: 31, Kind.INT64: 63, Kind.UINT32: 32, Kind.UINT64: 64}
    month, day = chance.choice(((9, 30), (10, 1), (10, 31), (11, 1), (12, 31)))
    kind = column.kind
    if kind in whole:
        return chance.choice((0, 1, 2, 2 ** whole[kind] - 1)) if column.name != "total" else 1
    if kind is Kind.UUID:
        return (
            new_id()
            if column.name in ("eid", "id", "cid", "mid")
            else str(uuid.UUID(int=chance.randrange(12)))
        )
    if kind in (Kind.TEXT, Kind.LABEL):
        return chance.choice(("", "won", "Ünï😀", "purchase", "visited", "it's \\ \"\n"))
    if kind is Kind.DECIMAL:
        return chance.choice(("0", "0.1", "-12345678901.123456789", "99.99"))
    if kind is Kind.FLOAT64:
        return chance.choice((0.0, 1.0, 2.5, -0.25))
    if kind is Kind.TIMESTAMP:
        return f"2026-{month:02}-{day:02} {chance.choice((0, 23)):02}:59:59.{chance.randrange(1000):03}Z"
    if kind is Kind.NANOTIME:
        return f"2026-{month:02}-{day:02} 23:59:59.{chance.randrange(10**9):09}Z"
    if kind is Kind.BOOL:
        return chance.random() < 0.5
    if kind is Kind.DATE:
        return f"2026-{month:02}-{day:02}"
    if kind is Kind.JSON:
        return params(chance)
    if kind is Kind.TEXTS:
        return chance.sample(("", "a", "it's", "Ünï"), chance.randrange(4))
    return [new_id() for _ in range(chance.randrange(3))]


async def write(sinks: Iterable[Sink], chance: random.Random) -> None:
    """Each table in three batches, of which each is sent twice, the second time as a repeat."""
    for table in CATALOGUE.values():
        rows = rows_of(table, chance, 150)
        for start in range(0, len(rows), 50):
            lines = [json.dumps(row).encode() for row in rows[start : start + 50]]
            sent = batch(lines, table.name)
            again = batch(lines, table.name, sent.id, is_repeat=True)
            for sink in sinks:
                await sink.write(sent)
                await sink.write(again)


async def test_rows_of_every_table_sent_twice_are_the_same_in_both(tmp_path: Path) -> None:
    sinks: list[Sink] = [DuckDbSink(settings_in(tmp_path)), make_sink(clickhouse_settings(tmp_path))]
    async with AsyncExitStack() as stack:
        for sink in sinks:
            stack.push_async_callback(sink.close)
            await sink.open()
        await write(sinks, random.Random(2))
        counts = await assert_same(*(cast(Queried, sink) for sink in sinks))
    assert {name for name, count in counts.items() if not count} <= {"events_recent"}
    assert counts["events"] == 150
