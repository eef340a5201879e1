"""`Store.find`: the same current rows from DuckDB and from ClickHouse, whatever is asked for."""

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batches import CREATED, batch, event, new_id
from tests.support.clickhouse import made_before
from tests.support.clickhouse_process import ClickHouse, serving
from tests.support.clickhouse_writes import emptied, over_http
from tests.unit.sinks.places import settings_in
from tracker.errors import QueryError
from tracker.sinks import duckdb_finding
from tracker.sinks.base import Sink, Store
from tracker.sinks.clickhouse import ClickHouseSink
from tracker.sinks.duckdb import DuckDbSink
from tracker.sinks.finding import merged, wanted
from tracker.tables import CATALOGUE, Kind

LATER = "2026-11-22 04:00:00.000Z"
UID = "018f6f2e-0000-7000-8000-000000000001"
HOSTILE = ["' OR 1=1 --", "\\'; DROP TABLE redirects", "`x`", '"', "é/ü", "a" * 3000, "%_", "{x:String}", "?"]


class Both(Sink, Store):
    """A sink that is a store."""


@pytest.fixture(params=["duckdb", pytest.param("clickhouse", marks=pytest.mark.long)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
    made: Any = (
        DuckDbSink(settings_in(tmp_path))
        if request.param == "duckdb"
        else ClickHouseSink(made_before(tmp_path))
    )
    await made.open()
    yield made
    await made.close()


def link(urlfrom: str, urlto: str, updated_at: str = CREATED) -> dict[str, Any]:
    return {"urlfrom": urlfrom, "urlto": urlto, "updated_at": updated_at, "created_at": CREATED}


async def test_only_the_newest_version_of_a_key_is_found(store: Both) -> None:
    await store.write(batch([link("a.example/x", "https://old.example/")], "redirects"))
    await store.write(batch([link("a.example/x", "https://new.example/", LATER)], "redirects"))
    await store.write(batch([link("a.example/x", "https://late.example/")], "redirects"))
    (row,) = await store.find("redirects", {"urlfrom": ["a.example/x"]})
    assert row == {
        "hhash": "",
        "urlfrom": "a.example/x",
        "urlto": "https://new.example/",
        "oid": "00000000-0000-0000-0000-000000000000",
        "org": "",
        "updated_at": LATER,
        "updater": "00000000-0000-0000-0000-000000000000",
        "created_at": CREATED,
    }
    assert await store.find("redirects", {"urlto": ["https://old.example/"]}) == []


async def test_clickhouse_answers_as_duckdb_does(tmp_path: Path) -> None:
    """The long run asks it everything that is asked here of DuckDB."""
    sink: Any = ClickHouseSink(made_before(tmp_path))
    await sink.open()
    await test_only_the_newest_version_of_a_key_is_found(sink)
    await test_a_row_comes_back_in_the_form_in_which_it_was_written(sink)
    await test_hostile_values_find_exactly_themselves(sink)
    await sink.close()


async def test_a_row_comes_back_in_the_form_in_which_it_was_written(store: Both) -> None:
    account = {
        "uid": UID,
        "pwd": "$argon2id$x",
        "msg": "Ada 'quoted'\n",
        "expires": "2027-01-01 00:00:00.000Z",
        "creds": {"hosts": ["a.example", "b.example"], "admin": True, "depth": {"x.y": [1, 2.5]}},
        "created_at": CREATED,
        "updated_at": LATER,
    }
    await store.write(batch([account], "accounts"))
    (row,) = await store.find("accounts", {"uid": [UID.upper()]})
    assert {name: row[name] for name in account} == account
    assert (row["ip"], row["owner"]) == ("", "00000000-0000-0000-0000-000000000000")


async def test_every_table_of_the_catalogue_can_be_asked_for_all_its_rows(store: Both) -> None:
    for name, table in CATALOGUE.items():
        columns = {column.name: sample(column.kind) for column in table.columns}
        await store.write(batch([columns], name))
        found = json.loads(json.dumps(list(await store.find(name, {}))))
        assert [row for row in found if name != "jurisdictions" or row["seq"] == 7] == [columns], name


def sample(kind: Kind) -> Any:
    """A value that is no default, in the form in which rows have it."""
    known = {
        Kind.UUID: UID,
        Kind.BOOL: True,
        Kind.FLOAT64: 2.5,
        Kind.TIMESTAMP: CREATED,
        Kind.NANOTIME: "2026-11-22 03:00:00.123456789Z",
        Kind.DATE: "2026-11-22",
        Kind.JSON: {"a": {"b": ["x", 1]}},
        Kind.TEXTS: ["a", "b"],
        Kind.UUIDS: [UID],
        "decimal": "12.500000000",
    }
    return known.get(kind, 7 if "int" in kind.value else "text é")


async def test_rows_come_in_the_order_of_the_key_and_no_more_than_asked_for(store: Both) -> None:
    ids = [str(uuid.UUID(int=number << 60)) for number in (5, 1, 90000000000, 3, 2)]
    rows = [{"uid": one, "updated_at": CREATED} for one in ids]
    await store.write(batch(rows, "accounts"))
    assert [row["uid"] for row in await store.find("accounts", {})] == sorted(ids)
    assert [row["uid"] for row in await store.find("accounts", {}, limit=2)] == sorted(ids)[:2]
    names = ["b/1", "B/1", "a/é", "a/z", "a/~"]
    await store.write(batch([link(name, "https://x.example/") for name in names], "redirects"))
    assert [row["urlfrom"] for row in await store.find("redirects", {})] == sorted(names)


async def test_every_named_column_must_have_one_of_its_values(store: Both) -> None:
    rows = [
        {"regulation": regulation, "compliance": compliance, "seq": seq, "updated_at": CREATED}
        for regulation, compliance, seq in itertools.product(("one law", "another"), ("x", "y"), (1, 2))
    ]
    await store.write(batch(rows, "jurisdictions"))
    found = await store.find("jurisdictions", {"regulation": ["one law"], "seq": ["2", "3"]})
    assert [(row["compliance"], row["seq"]) for row in found] == [("x", 2), ("y", 2)]
    assert await store.find("jurisdictions", {"regulation": []}) == []


async def test_hostile_values_find_exactly_themselves(store: Both) -> None:
    await store.write(batch([link(text, "https://x.example/") for text in HOSTILE], "redirects"))
    for text in HOSTILE:
        assert [row["urlfrom"] for row in await store.find("redirects", {"urlfrom": [text]})] == [text]
    assert len(await store.find("redirects", {"urlfrom": HOSTILE})) == len(HOSTILE)
    assert await store.find("redirects", {"urlfrom": ["\x00", "\ud800", "x\x00' OR 1=1"]}) == []
    impossible = ["", "x", "' OR 1=1", "é", "{}", "1" * 40, "\x00"]
    assert await store.find("accounts", {"uid": impossible}) == []
    assert await store.find("jurisdictions", {"seq": [*impossible, "-1", "4294967296", "²"]}) == []
    assert await store.find("logs", {"ldate": [*impossible, "2026-13-01", "99999-01-01"]}) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.text(st.characters(), max_size=40), max_size=5))
async def test_no_value_is_ever_part_of_the_question(store: Both, values: list[str]) -> None:
    async with asyncio.timeout(10):
        assert await store.find("updates", {"id": values}) == []


async def test_more_values_than_fit_one_question_are_asked_in_several(store: Both) -> None:
    names = [f"a.example/{'x' * 100}{number:05}" for number in range(3000)]
    await store.write(batch([link(name, "https://x.example/") for name in names[::100]], "redirects"))
    found = await store.find("redirects", {"urlfrom": names}, limit=100)
    assert [row["urlfrom"] for row in found] == names[::100]


async def test_what_is_not_in_the_catalogue_is_refused_before_it_is_asked(store: Both) -> None:
    with pytest.raises(KeyError):
        await store.find("system.tables", {})
    with pytest.raises(KeyError):
        await store.find("redirects", {"urlfrom = '' OR 1": ["x"]})
    with pytest.raises(ValueError, match="rows cannot be found by it"):
        await store.find("accounts", {"creds": ["{}"]})
    with pytest.raises(ValueError, match="limit"):
        await store.find("redirects", {}, limit=0)


async def test_a_slow_question_holds_up_no_find(store: Both) -> None:
    table = "range(100000000000)" if isinstance(store, DuckDbSink) else "numbers(100000000000)"
    column = "range" if isinstance(store, DuckDbSink) else "number"
    slow = f"SELECT sum(sqrt({column} % 7)) FROM {table}"  # noqa: S608 (names of the test's own)
    asking = [asyncio.create_task(store.query(slow, max_rows=1, timeout_seconds=4)) for _ in range(3)]
    await asyncio.sleep(0.3)
    started = time.perf_counter()
    await store.write(batch([link("a.example/x", "https://x.example/")], "redirects"))
    assert len(await store.find("redirects", {"urlfrom": ["a.example/x"]})) == 1
    assert time.perf_counter() - started < 3
    assert not any(task.done() for task in asking)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_a_closed_store_says_that_it_cannot_answer(store: Both) -> None:
    await store.close()
    with pytest.raises(QueryError, match="not open"):
        await store.find("redirects", {})


async def test_a_store_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_finding, "FIND_SECONDS", 0.0001)
    sink = DuckDbSink(settings_in(tmp_path))
    await sink.open()
    await sink.write(batch([event(ename=str(number)) for number in range(5000)]))
    with pytest.raises(QueryError, match="within"):
        await sink.find("events", {})
    await sink.close()


def test_of_several_answers_the_newest_version_of_a_key_counts() -> None:
    question = wanted("redirects", {}, 10)
    old, new = ({"urlfrom": "a", "updated_at": at, "urlto": at} for at in (CREATED, LATER))
    assert merged(question, [new, old]) == merged(question, [old, new]) == [new]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClickHouse, ClickHouse]]:
    folder = tmp_path_factory.mktemp("clickhouse")
    with serving(folder / "first") as first, serving(folder / "second") as second:
        yield first, second


@pytest.mark.long
async def test_servers_that_are_no_replicas_are_all_asked_and_the_newest_row_counts(
    pair: tuple[ClickHouse, ClickHouse], tmp_path: Path
) -> None:
    database = emptied(pair[0])
    emptied(pair[1])
    first, second = (
        ClickHouseSink(over_http(tmp_path / str(server.port), server.port, database=database))
        for server in pair
    )
    both = ClickHouseSink(over_http(tmp_path, *(server.port for server in pair), database=database))
    for sink in (first, second, both):
        await sink.open()
    key = f"a.example/{new_id()}"
    await first.write(batch([link(key, "https://new.example/", LATER)], "redirects"))
    await second.write(batch([link(key, "https://old.example/")], "redirects"))
    (row,) = await both.find("redirects", {"urlfrom": [key]})
    assert row["urlto"] == "https://new.example/"
    pair[1].kill()
    with pytest.raises(QueryError, match="cannot be reached"):
        await both.find("redirects", {"urlfrom": [key]})
    pair[1].start()
    for sink in (first, second, both):
        await sink.close()
