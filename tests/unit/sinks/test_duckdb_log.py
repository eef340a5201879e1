"""What is left in DuckDB's log of a transaction that was never acknowledged: nothing of it counts."""

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.batches import batch, event
from tests.unit.sinks.places import ask, settings_in
from tracker.errors import SinkUnavailable
from tracker.sinks.duckdb import DuckDbSink

SECTOR = 512
TEARS = 8


@dataclass(frozen=True)
class Moment:
    """The files after a write, and the log's size and note before it was acknowledged."""

    rows_before: int
    database: bytes
    log: bytes
    synced: int
    note: bytes


def _file(folder: Path, ending: str) -> Path:
    return Path(f"{settings_in(folder).database}{ending}")


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


async def _moments(folder: Path) -> list[Moment]:
    """Transactions of many sizes; the first of them begins a log."""
    sink = DuckDbSink(settings_in(folder))
    await sink.open()
    await sink.close()
    await sink.open()
    made, rows = [], 0
    for count in (400, 1, 3000):
        note, synced = _content(_file(folder, ".acknowledged")), len(_content(_file(folder, ".wal")))
        await sink.write(batch([event(ename=str(number)) for number in range(count)]))
        made.append(Moment(rows, _content(_file(folder, "")), _content(_file(folder, ".wal")), synced, note))
        rows += count
    await sink.close()
    return made


def _torn(moment: Moment, chance: random.Random) -> bytes:
    """The log with only some sectors of its last transaction."""
    torn, share = bytearray(moment.log[: moment.synced]), chance.random()
    for at in range(moment.synced // SECTOR * SECTOR, len(moment.log), SECTOR):
        if chance.random() < share:
            first, end = max(at, moment.synced), min(at + SECTOR, len(moment.log))
            torn.extend(bytes(max(end - len(torn), 0)))
            torn[first:end] = moment.log[first:end]
    return bytes(torn)


def _lay(folder: Path, moment: Moment, log: bytes) -> None:
    folder.mkdir()
    settings_in(folder).database.parent.mkdir(exist_ok=True)
    _file(folder, "").write_bytes(moment.database)
    _file(folder, ".wal").write_bytes(log)
    _file(folder, ".acknowledged").write_bytes(moment.note)


async def test_a_transaction_torn_by_a_power_cut_never_counts_and_the_file_opens(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    chance, torn = random.Random(1), 0
    for moment in await _moments(tmp_path / "made"):
        for _ in range(TEARS):
            log = _torn(moment, chance)
            torn += moment.synced < len(log)
            _lay(tmp_path / "cut", moment, log)
            sink = DuckDbSink(settings_in(tmp_path / "cut"))
            await sink.open()
            assert await ask(sink, "SELECT count(*) FROM events") == [[moment.rows_before]]
            await sink.close()
            shutil.rmtree(tmp_path / "cut")
    assert torn > TEARS


async def test_a_batch_that_was_written_and_not_acknowledged_is_taken_again(
    tmp_path: Path,
) -> None:
    sink = DuckDbSink(settings_in(tmp_path))
    await sink.open()
    note = _content(_file(tmp_path, ".acknowledged"))
    again = batch([event()])
    await sink.write(again)
    moment = Moment(0, _content(_file(tmp_path, "")), _content(_file(tmp_path, ".wal")), 0, note)
    await sink.close()
    _lay(tmp_path / "later", moment, moment.log)
    later = DuckDbSink(settings_in(tmp_path / "later"))
    await later.open()
    assert await ask(later, "SELECT count(*) FROM ledger") == [[0]]
    for _ in range(2):
        await later.write(replace(again, is_repeat=True))
    assert await ask(later, "SELECT count(*) FROM events") == [[1]]
    await later.close()


async def test_a_log_of_which_nothing_is_noted_is_replayed_whole(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    moment = (await _moments(tmp_path / "made"))[-1]
    for note in (b"", b" " * 256, b"acknowledged 7 0000", b"no note at all"):
        _lay(tmp_path / "other", replace(moment, note=note), moment.log)
        sink = DuckDbSink(settings_in(tmp_path / "other"))
        await sink.open()
        assert await ask(sink, "SELECT count(*) FROM events") == [[moment.rows_before + 3000]]
        await sink.close()
        shutil.rmtree(tmp_path / "other")


async def test_after_a_clean_end_nothing_is_noted(tmp_path: Path) -> None:
    await _moments(tmp_path)
    assert not _content(_file(tmp_path, ".acknowledged")).strip()
    assert not _file(tmp_path, ".wal").exists()


async def test_the_log_of_a_sink_that_is_open_is_never_cut(tmp_path: Path) -> None:
    sink = DuckDbSink(settings_in(tmp_path))
    await sink.open()
    note = _file(tmp_path, ".acknowledged")
    before = _content(note)
    await sink.write(batch([event()]))
    note.write_bytes(before)
    size = len(_content(_file(tmp_path, ".wal")))
    with pytest.raises(SinkUnavailable, match="lock"):
        await DuckDbSink(settings_in(tmp_path)).open()
    assert len(_content(_file(tmp_path, ".wal"))) == size
    await sink.close()


def _held(database: Path) -> "subprocess.Popen[str]":
    opening = f"held = duckdb.connect({str(database)!r})"
    program = f"import duckdb; {opening}; print('open', flush=True); input()"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True)


async def test_the_log_of_a_file_that_another_program_has_open_is_never_cut(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    moment = (await _moments(tmp_path / "made"))[-1]
    _lay(tmp_path / "held", moment, moment.log)
    with _held(_file(tmp_path / "held", "")) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(SinkUnavailable, match="lock"):
            await DuckDbSink(settings_in(tmp_path / "held")).open()
        assert _content(_file(tmp_path / "held", ".wal")) == moment.log
        holder.kill()
