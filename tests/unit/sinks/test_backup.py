"""A store copied and restored, of both kinds and from each into the other: every value of every table."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batches import batch, event, new_id
from tests.support.clickhouse import embedded_engine, rows_of, without_nothings
from tests.support.copies import SERVICES, copied, digests, refusal, store, store_in
from tests.support.rows import SHIPPED, full_row, uuid_of
from tracker.commands.backup_folder import BackupFolder
from tracker.errors import QueryError
from tracker.sinks.backup import restore
from tracker.sinks.duckdb import DuckDbSink, settings_of
from tracker.sinks.duckdb_store import open_read_only
from tracker.sinks.registry import Server, SinkSettings, make_sink
from tracker.tables import CATALOGUE

OTHER = {"duckdb": "clickhouse", "clickhouse": "duckdb"}
EVERY_SERVICE = [
    "duckdb",
    *(pytest.param(name, marks=pytest.mark.long) for name in SERVICES if name != "duckdb"),
]


async def fill(place: SinkSettings, numbers: range) -> None:
    """A row of each number in every table, with no column at its default."""
    sink = make_sink(place)
    await sink.open()
    for table in CATALOGUE.values():
        await sink.write(batch([full_row(table, number) for number in numbers], table.name))
    await sink.close()


async def rows(place: SinkSettings, folder: Path, table: str) -> list[dict[str, Any]]:
    """What the store holds of a table, as `held`."""
    return held(await copied(place, folder), table)


def held(copy: BackupFolder, table: str) -> list[dict[str, Any]]:
    """What a copy holds of a table, in the order of its key, times without zeros at the end."""
    found = [orjson.loads(line) for data, _ in copy.pieces(table, 1 << 20) for line in data.splitlines()]
    plain = [{name: _plain(value) for name, value in row.items()} for row in found]
    return sorted(plain, key=lambda row: [str(row[name]) for name in CATALOGUE[table].key])


def _plain(value: Any) -> Any:
    is_time = isinstance(value, str) and re.fullmatch(r"\d{4}(-\d\d){2} (\d\d:){2}\d\d\.\d+", value)
    return value.rstrip("0").rstrip(".") if is_time else value


def counts(filled: int) -> dict[str, int]:
    """Rows of each table that was filled with so many, with those that each store begins with."""
    return {name: filled + SHIPPED.get(name, 0) for name in CATALOGUE}


async def count(place: SinkSettings) -> int:
    """How many events are there."""
    if place.service == "duckdb":
        async with open_read_only(Path(place.context)) as asked:
            answer = await asked.query("SELECT count(*) FROM events", max_rows=1, timeout_seconds=30)
            return int(answer.rows[0][0])
    async with embedded_engine(Path(place.context).parent) as engine:
        ((found,),) = (await engine.ask("SELECT count() FROM events FINAL")).rows
        return int(found)


@pytest.mark.parametrize("service", ["duckdb", pytest.param("clickhouse", marks=pytest.mark.long)])
async def test_every_value_of_every_table_comes_back(tmp_path: Path, service: str) -> None:
    source, target = store_in(tmp_path / "a", service), store_in(tmp_path / "b", service)
    await fill(source, range(5))
    copy = await copied(source, tmp_path / "backup")
    told = await restore(target, copy)
    assert told == counts(5)
    restored = await digests(target, tmp_path / "again")
    assert restored == {
        name: (extent.rows, extent.digest) for name, extent in copy.tables.items() if name != "ledger"
    }


@pytest.mark.parametrize("service", EVERY_SERVICE)
async def test_a_copy_of_one_kind_of_store_can_be_put_into_the_other(tmp_path: Path, service: str) -> None:
    source, target = store_in(tmp_path / "a", service), store_in(tmp_path / "b", OTHER[service])
    await fill(source, range(3))
    copy = await copied(source, tmp_path / "backup")
    assert await restore(target, copy) == counts(3)
    again = await copied(target, tmp_path / "again")
    for table in CATALOGUE:
        assert held(again, table) == held(copy, table)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS
DOCUMENTS = st.recursive(
    VALUES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TIMES = st.integers(0, 2**62).map(lambda ns: f"2026-11-22 03:00:{ns % 60:02}.{ns % 10**9:09}Z")


@pytest.mark.long
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sent=st.lists(st.tuples(TEXTS, st.dictionaries(NAMES, DOCUMENTS, max_size=3), TIMES), max_size=40))
def test_duckdb_keeps_any_text_document_and_nanosecond(
    sent: list[tuple[str, dict[str, Any], str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    logs = [
        {"id": uuid_of(number + 1), "msg": msg, "params": params, "ltime": ltime}
        for number, (msg, params, ltime) in enumerate(sent)
    ]
    asyncio.run(_round_trip(tmp_path_factory.mktemp("any"), logs, "duckdb"))


@pytest.mark.long
async def test_clickhouse_keeps_documents_as_it_took_them(tmp_path: Path) -> None:
    documents = [
        {"a": 1.5, "b.c": [1, {"x": "é\n", "y": None}]},
        {"2026": "2026-11-22", "n": -(2**63)},
        {"d": {"e.f": [[1], []]}},
    ]
    sent = [
        {
            "id": uuid_of(number + 1),
            "msg": 'a "b"\\\n\t\x01ü',
            "params": document,
            "ltime": f"2026-11-22 03:00:00.00000000{number}Z",
        }
        for number, document in enumerate(documents)
    ]
    await _round_trip(tmp_path, sent, "clickhouse")


async def _round_trip(folder: Path, sent: list[dict[str, Any]], service: str) -> None:
    source, target = store_in(folder / "a", service), store_in(folder / "b", service)
    await store(source, sent, "logs")
    await restore(target, await copied(source, folder / "backup"))
    kept = without_nothings if service == "clickhouse" else lambda document: document
    for got, row in zip(await rows(target, folder / "again", "logs"), sent, strict=True):
        assert (got["msg"], got["params"]) == (row["msg"], kept(row["params"]))
        assert got["ltime"] == _plain(row["ltime"].removesuffix("Z"))


@pytest.mark.parametrize("service", EVERY_SERVICE)
async def test_rows_that_the_backup_has_not_are_never_overwritten(tmp_path: Path, service: str) -> None:
    place = store_in(tmp_path, service)
    await store(place, [event() for _ in range(20)])
    copy = await copied(place, tmp_path / "backup")
    await restore(place, copy)  # all that is there is in the backup
    await store(place, [event() for _ in range(3)])
    assert "events holds 3 rows that the backup has not" in await refusal(place, copy)
    assert await count(place) == 23


@pytest.mark.parametrize("service", EVERY_SERVICE)
async def test_a_later_version_of_a_row_is_not_replaced_by_an_earlier_one(
    tmp_path: Path, service: str
) -> None:
    older, newer = (
        {"id": "a", "msg": text, "updated_at": f"2026-11-22 03:00:00.{text}Z"} for text in ("100", "2")
    )
    place, other = store_in(tmp_path / "a", service), store_in(tmp_path / "b", service)
    await store(place, [older], "updates")
    await store(other, [newer], "updates")
    old, new = await copied(place, tmp_path / "old"), await copied(other, tmp_path / "new")
    assert "updates holds 1 rows that the backup has not, or has older" in await refusal(other, old)
    await restore(place, new)
    assert [row["msg"] for row in await rows(place, tmp_path / "again", "updates")] == ["2"]


@pytest.mark.parametrize("service", EVERY_SERVICE)
async def test_rows_in_a_table_that_the_backup_does_not_know_are_never_lost(
    tmp_path: Path, service: str
) -> None:
    place = store_in(tmp_path, service)
    await store(place, [event()])
    copy = await copied(place, tmp_path / "backup")
    logs = BackupFolder(copy.folder, copy.about, {"logs": copy.files["logs"]})
    assert "events holds rows and its schema is newer than the backup's" in await refusal(place, logs)


@pytest.mark.parametrize("service", EVERY_SERVICE)
async def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path, service: str) -> None:
    place = store_in(tmp_path, service)
    await store(place, [event()])
    copy = await copied(place, tmp_path / "backup")
    events = copy.files["events"]
    column = {"events": replace(events, columns=[*events.columns, "mood"])}
    said = await refusal(place, BackupFolder(copy.folder, copy.about, column))
    assert "column events.mood, which this version does not know" in said
    said = await refusal(place, BackupFolder(copy.folder, copy.about, {"moods": events}))
    assert "table moods, which this version does not know" in said


async def test_hosts_that_hold_rows_of_their_own_are_not_taken_for_one_store(tmp_path: Path) -> None:
    place = replace(
        store_in(tmp_path / "a", "clickhouse"),
        server=Server(hosts=(("127.0.0.1", 1), ("127.0.0.1", 2)), database="shop"),
    )
    source = store_in(tmp_path / "b", "duckdb")
    await store(source, [event()])
    with pytest.raises(QueryError, match="each of its hosts holds rows of its own; use a configuration"):
        await copied(place, tmp_path / "backup")
    said = await refusal(place, await copied(source, tmp_path / "backup"))
    assert "each of its hosts holds rows of its own" in said


async def test_the_ledger_comes_along_so_that_no_batch_comes_twice(tmp_path: Path) -> None:
    place, target = store_in(tmp_path / "a", "duckdb"), store_in(tmp_path / "b", "duckdb")
    sent = batch([event() for _ in range(5)])
    for where in (place, target):
        sink = make_sink(where)
        await sink.open()
        await sink.write(sent)  # into the restored one a second time
        await sink.close()
        if where is place:
            await restore(target, await copied(place, tmp_path / "backup"))
    assert await count(target) == 5


async def test_batches_that_the_old_file_had_are_known_to_the_restored_one(tmp_path: Path) -> None:
    place, other = store_in(tmp_path / "a", "duckdb"), store_in(tmp_path / "b", "clickhouse")
    sent = batch([event() for _ in range(5)])
    for where in (place, other):
        sink = make_sink(where)
        await sink.open()
        await sink.write(sent)
        await sink.close()
    await restore(place, await copied(other, tmp_path / "backup"))  # of a store that keeps no ledger
    sink = make_sink(place)
    await sink.open()
    await sink.write(sent)
    await sink.close()
    assert await count(place) == 5


async def test_a_copy_is_of_one_moment_while_rows_and_checkpoints_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.sinks.duckdb_writer.CHECKPOINT_BYTES", 1)
    place = store_in(tmp_path, "duckdb")
    sink = DuckDbSink(settings_of(place))
    await sink.open()
    await sink.write(batch([event() for _ in range(5000)]))
    size = await asyncio.to_thread(os.path.getsize, place.context)
    reading = await sink.snapshot()
    await reading.begin()
    pieces = reading.rows("events", ["eid"])
    found = (await anext(pieces)).count(b"\n")
    for _ in range(3):
        await sink.write(batch([event(url=new_id()) for _ in range(5000)]))
    assert await asyncio.to_thread(os.path.getsize, place.context) > size, "no checkpoint was made"
    found += sum([piece.count(b"\n") async for piece in pieces])
    await reading.close()
    await sink.close()
    assert found == 5000
    assert await count(place) == 20_000


async def test_a_store_that_closes_ends_the_copy_with_a_sentence(tmp_path: Path) -> None:
    sink = DuckDbSink(settings_of(store_in(tmp_path, "duckdb")))
    await sink.open()
    await sink.write(batch([event() for _ in range(5000)]))
    reading = await sink.snapshot()
    await reading.begin()
    pieces = reading.rows("events", ["eid"])
    await anext(pieces)
    await sink.close()
    with pytest.raises(QueryError, match="the store was closed"):
        await anext(pieces)
    with pytest.raises(QueryError, match="is not open"):
        await sink.snapshot()


@pytest.mark.long
async def test_long_texts_make_the_same_lines_as_short_ones_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "".join(map(chr, range(1, 0x180))) + ' "\\" \\u001f '
    place = store_in(tmp_path, "duckdb")
    await store(
        place,
        [
            full_row(CATALOGUE["events"], number, url=odd, params={"text": odd, "n": 1.0})
            for number in range(50)
        ],
    )
    short = await digests(place, tmp_path / "short")
    monkeypatch.setattr("tracker.sinks.duckdb_snapshot.MOST_CHARACTERS", 10)
    assert await digests(place, tmp_path / "long") == short
    monkeypatch.undo()
    for _ in range(10):  # 90 MB, in a store that may take 96
        await store(place, [event(params={"text": str(number) * 100_000}) for number in range(100, 130)])
    sink = DuckDbSink(settings_of(place))
    await sink.open()
    copy = await copied(place, tmp_path / "large", sink)
    await sink.close()
    assert copy.tables["events"].rows == 350


async def test_a_table_of_someones_own_is_not_lost(tmp_path: Path) -> None:
    place = store_in(tmp_path, "duckdb")
    await store(place, [event()])
    copy = await copied(place, tmp_path / "backup")
    with duckdb.connect(place.context) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    assert "a table of its own, mine" in await refusal(place, copy)


async def test_a_log_that_was_left_behind_is_not_replayed_into_the_restored_file(tmp_path: Path) -> None:
    source, place = store_in(tmp_path / "a", "duckdb"), store_in(tmp_path / "b", "duckdb")
    await store(source, [event()])
    log = Path(f"{place.context}.wal")
    await asyncio.to_thread(log.parent.mkdir)
    await asyncio.to_thread(log.write_bytes, b"of another file")
    said = await refusal(place, await copied(source, tmp_path / "backup"))
    assert said.startswith(f"{log} is the log of a file that is not there")
    assert await asyncio.to_thread(os.listdir, log.parent) == [log.name]


async def test_a_refused_or_failed_restore_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    place = store_in(tmp_path, "duckdb")
    await store(place, [event() for _ in range(3)])
    copy = await copied(place, tmp_path / "backup")
    other = {"events": replace(copy.files["events"], digest="0" * 16)}
    file = Path(place.context)
    before = await asyncio.to_thread(file.read_bytes)
    assert "other values after restoring" in await refusal(
        place, BackupFolder(copy.folder, copy.about, other)
    )
    assert await asyncio.to_thread(file.read_bytes) == before
    assert [name for name in await asyncio.to_thread(os.listdir, tmp_path) if "restoring" in name] == []


@pytest.mark.long
async def test_repeated_rows_are_copied_once_from_clickhouse(tmp_path: Path) -> None:
    place = store_in(tmp_path, "clickhouse")
    rows_sent = [event() for _ in range(10)]
    for _ in range(3):
        await store(place, rows_sent)
    async with embedded_engine(tmp_path) as engine:
        ((raw,),) = (tuple(row.values()) for row in await rows_of(engine, "SELECT count() AS n FROM events"))
    assert raw == 30
    assert (await copied(place, tmp_path / "backup")).tables["events"].rows == 10
