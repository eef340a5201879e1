"""The DuckDB sink where it is more than the contract: kills, locks, memory, damage, the hand-over folder."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.support.batches import batch, event, new_id
from tests.support.disks import small_disk
from tests.unit.sinks.places import ask, count, settings_in
from tracker.errors import ConfigError, RowsRejected, SinkUnavailable
from tracker.events import Batch
from tracker.sinks.duckdb import DuckDbSettings, DuckDbSink, open_read_only

ROOT = Path(__file__).parents[3]


def child(folder: Path, batches: list[Batch]) -> "subprocess.Popen[str]":
    """A process that writes these batches one after the other (see writing_child)."""
    for one in batches:
        (folder / one.id).write_bytes(one.data)
    listing = folder / "batches"
    listing.write_text("".join(f"{one.id} {one.rows}\n" for one in batches), encoding="utf-8")
    command = [sys.executable, "-m", "tests.unit.sinks.writing_child", str(folder), str(listing)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def kill_after(process: "subprocess.Popen[str]", word: str) -> list[str]:
    """Read what it says up to this word, kill -9, and return everything it said."""
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.strip())
        if said[-1] == word:
            break
    process.kill()
    said += process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return said


async def test_killed_between_and_within_writes_a_second_delivery_makes_it_exactly_once(
    tmp_path: Path, settings: DuckDbSettings
) -> None:
    batches = [batch([event(params={"n": number}) for number in range(400)]) for _ in range(12)]
    done: set[str] = set()
    for last in (batches[0].id, batches[2].id, batches[5].id):
        said = kill_after(child(tmp_path, [one for one in batches if one.id not in done]), last)
        done |= set(said) & {one.id for one in batches}
    assert 6 <= len(done) < len(batches)
    sink = DuckDbSink(settings)
    await sink.open()
    assert (
        await ask(sink, "SELECT count(*) % 400, count(*) >= 2400, count(DISTINCT eid) = count(*) FROM events")
    ) == [[0, True, True]]
    written = {row[0] for row in await ask(sink, "SELECT batch_id FROM ledger")}
    assert done <= written
    for one in batches:
        await sink.write(replace(one, is_repeat=True))
    assert await ask(sink, "SELECT count(*), count(DISTINCT eid) FROM events") == [[4800, 4800]]
    await sink.close()


async def test_a_file_that_another_process_has_is_unavailable_until_it_ends(
    tmp_path: Path, settings: DuckDbSettings
) -> None:
    holder = child(tmp_path, [])
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    sink = DuckDbSink(settings)
    with pytest.raises(SinkUnavailable, match="lock") as caught:
        await sink.open()
    assert caught.value.is_connection
    kill_after(holder, "end")
    await sink.open()
    await sink.close()


async def test_a_file_that_is_no_database_is_unavailable_and_stays_as_it_is(settings: DuckDbSettings) -> None:
    settings.database.parent.mkdir()
    settings.database.write_bytes(b"something else" * 1000)
    with pytest.raises(SinkUnavailable, match="not a valid DuckDB database"):
        await DuckDbSink(settings).open()
    assert settings.database.read_bytes() == b"something else" * 1000


async def test_a_data_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file")
    with pytest.raises(SinkUnavailable):
        await DuckDbSink(settings_in(tmp_path)).open()


async def test_an_open_that_is_cancelled_leaves_the_file_free(settings: DuckDbSettings) -> None:
    sink = DuckDbSink(settings)
    opening = asyncio.ensure_future(sink.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    async with asyncio.timeout(10):
        while True:
            try:
                await sink.open()
                break
            except SinkUnavailable:
                await asyncio.sleep(0.01)
    await sink.close()


async def test_the_hand_over_folder_is_private_and_emptied(settings: DuckDbSettings) -> None:
    settings.handover.mkdir()
    (settings.handover / "left.ndjson").write_bytes(b"{}\n")
    (settings.handover / "other").write_bytes(b"not ours")
    sink = DuckDbSink(settings)
    await sink.open()
    await sink.write(batch([event()]))
    with pytest.raises(RowsRejected):
        await sink.write(batch([event(lat="x")]))
    await sink.close()
    assert [file.name for file in settings.handover.iterdir()] == ["other"]


async def test_a_new_hand_over_folder_is_its_owners_alone(sink: DuckDbSink, settings: DuckDbSettings) -> None:
    assert settings.handover.stat().st_mode & 0o777 == 0o700


async def test_a_hand_over_folder_that_is_gone_is_unavailable(
    sink: DuckDbSink, settings: DuckDbSettings
) -> None:
    settings.handover.rmdir()
    with pytest.raises(SinkUnavailable, match="hand-over"):
        await sink.write(batch([event()]))
    settings.handover.mkdir()
    await sink.write(batch([event()]))


async def test_an_empty_batch_is_taken(sink: DuckDbSink) -> None:
    await sink.write(batch([]))
    assert await count(sink) == 0


async def test_a_table_that_no_one_knows_is_a_bug_of_ours(sink: DuckDbSink) -> None:
    with pytest.raises(LookupError, match="nonsense"):
        await sink.write(batch([{"a": 1}], "nonsense"))


async def test_fewer_rows_than_announced_are_not_taken(sink: DuckDbSink) -> None:
    whole = batch([event(), event()])
    with pytest.raises(RowsRejected) as caught:
        await sink.write(replace(whole, rows=3, data=whole.data + b"\n"))
    assert caught.value.reasons == {2: "empty line"}


@pytest.mark.long
async def test_rows_far_larger_than_the_memory_limit_are_stored(settings: DuckDbSettings) -> None:
    sink = DuckDbSink(replace(settings, memory_mb=64))
    await sink.open()
    small, middle, large = "s" * 50, "m" * 100_000, "l" * 9_000_000
    rows = [event(params={"x": text}) for text in (small, large, middle, small)] + [event(url=large)]
    await sink.write(batch(rows))
    await sink.write(batch([event(params={"x": middle}) for _ in range(300)]))
    await sink.close()
    async with open_read_only(settings.database) as store:
        question = "SELECT count(*), max(length(url)), max(length(params::VARCHAR)) FROM events"
        answer = await store.query(question, max_rows=1, timeout_seconds=30)
    assert answer.rows == [[305, 9_000_000, 9_000_008]]


async def test_a_large_row_is_as_exact_as_a_small_one(sink: DuckDbSink) -> None:
    params = {"x": "y" * 1_200_000, "n": 12345678901234567890123, "z": "a\0b", "l": [1, None, {"k": 1.5}]}
    row = event(params=params, lat=1.25, vp_w=7, is_client=True, ename="Ünï", country=None)
    long_line = json.dumps(row).encode()  # orjson cannot write an integer of 74 bits
    await sink.write(batch([long_line, event()]))
    columns = "lat, vp_w, is_client, ename, country, created_at, params.z, params.l, params.n::VARCHAR"
    assert await ask(sink, f"SELECT {columns} FROM events WHERE lat <> 0") == [  # noqa: S608 (constants)
        [
            1.25,
            7,
            True,
            "Ünï",
            "",
            "2026-11-22 03:00:00.123",
            "a\0b",
            [1, None, {"k": 1.5}],
            "12345678901234567890123",
        ]
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'"lat":"x"', "DOUBLE"),
        (b'"enam":"x"', "enam"),
        (b'"ename":"\\ud800"', "surrogate"),
        (b'"ename":', "JSON"),
    ],
)
async def test_a_large_bad_row_is_named_too(sink: DuckDbSink, bad: bytes, reason: str) -> None:
    large = b'{"url":"' + b"x" * 1_100_000 + b'",' + bad + b"}"
    with pytest.raises(RowsRejected) as caught:
        await sink.write(batch([event(), large, event()]))
    assert list(caught.value.reasons) == [1]
    assert reason in caught.value.reasons[1]
    assert await count(sink) == 0


async def test_when_memory_is_short_the_next_opening_allows_more(settings: DuckDbSettings) -> None:
    sink = DuckDbSink(replace(settings, memory_mb=24, most_memory_mb=400))
    await sink.open()
    sent = batch([event(params={"x": [number] * 40_000}) for number in range(8)])
    refused = 0
    for _ in range(6):
        try:
            await sink.open()
            await sink.write(sent)
            break
        except SinkUnavailable:
            refused += 1
    assert refused >= 1
    assert await count(sink) == 8
    await sink.close()


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder on a disk of 8 MiB."""
    with small_disk(8) as folder:
        yield folder


async def test_a_full_disk_is_unavailable_and_once_there_is_space_the_same_batch_goes(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(b"x" * (4 << 20))
    sink = DuckDbSink(settings_in(disk))
    await sink.open()
    written = 0
    with pytest.raises(SinkUnavailable, match="No space left") as caught:
        while written < 100:
            stuck = batch([event(url=f"//example.com/{new_id()}" * 3) for _ in range(400)])
            await sink.write(stuck)
            written += 1
    assert caught.value.is_connection
    ballast.unlink()
    await sink.open()
    await sink.write(replace(stuck, is_repeat=True))
    assert await count(sink) == (written + 1) * 400
    await sink.close()


async def test_an_old_entry_leaves_the_ledger_but_never_the_newest_of_a_table(
    settings: DuckDbSettings,
) -> None:
    sink = DuckDbSink(settings)
    await sink.open()
    old, last, other = batch([event()]), batch([event()]), batch([{"id": "a", "msg": "b"}], "updates")
    for one in (old, last, other):
        await sink.write(one)
    await sink.close()
    with duckdb.connect(str(settings.database)) as file:
        file.execute("UPDATE ledger SET written_at = '2020-01-01' WHERE batch_id = ?", [old.id])
        file.execute(
            "UPDATE ledger SET written_at = '2021-01-01' WHERE batch_id IN (?, ?)", [last.id, other.id]
        )
    await sink.open()
    left = {row[0] for row in await ask(sink, "SELECT batch_id FROM ledger")}
    await sink.close()
    assert left == {last.id, other.id}


async def test_a_changed_migration_stops_the_opening(tmp_path: Path, settings: DuckDbSettings) -> None:
    folder = tmp_path / "schema"
    folder.mkdir()
    for file in settings.schema.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    own = replace(settings, schema=folder)
    sink = DuckDbSink(own)
    await sink.open()
    await sink.close()
    views = folder / "0002_views.sql"
    views.write_text(views.read_text(encoding="utf-8") + "-- changed\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"0002_views\.sql was changed"):
        await sink.open()


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, settings: DuckDbSettings) -> None:
    folder = tmp_path / "schema"
    folder.mkdir()
    (folder / "0001_half.sql").write_text(
        "CREATE TABLE half (a INTEGER); SELECT no_such_thing;", encoding="utf-8"
    )
    with pytest.raises(duckdb.BinderException):
        await DuckDbSink(replace(settings, schema=folder)).open()
    sink = DuckDbSink(settings)
    await sink.open()
    assert await ask(sink, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'") == [[0]]
    await sink.close()


async def test_the_log_goes_into_the_file_while_writing_and_at_the_end(
    settings: DuckDbSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.sinks.duckdb_writer.CHECKPOINT_BYTES", 200_000)
    sink = DuckDbSink(settings)
    await sink.open()
    log = settings.database.with_name("tracker.duckdb.wal")
    sizes = []
    for _ in range(12):
        await sink.write(batch([event(url=new_id() * 10) for _ in range(100)]))
        sizes.append(log.stat().st_size if log.exists() else 0)
    assert min(sizes[3:]) < max(sizes) < 400_000
    await sink.close()
    assert not log.exists()
    await sink.open()
    assert await count(sink) == 1200
    await sink.close()
