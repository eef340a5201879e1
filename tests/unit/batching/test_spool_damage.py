"""A damaged or foreign file never stops the start: it is kept aside, what was lost is said and counted."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.spools import NOW, check, client_id, deliver_all, entry, open_spool, seal
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool


def _filled(folder: Path) -> None:
    """30 rows: 10 delivered, 1 dead, 4 sealed, 15 waiting."""
    spool = open_spool(folder, "a")
    for n in range(30):
        spool.commit([entry(f"{n} " + "x" * 2000, client_id=client_id(n))], NOW)
    spool.finish(seal(spool, rows=10))
    spool.reject(seal(spool, rows=5), {0: "bad"}, NOW)
    while spool.housekeep(NOW):
        pass
    spool.close()


def _overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 1000)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _other_version(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def _foreign(path: Path) -> None:
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (x)")
    db.commit()
    db.close()


def _broken_tree(path: Path) -> None:
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'chunks'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    _overwrite(path, (root - 1) * size, os.urandom(size))


@pytest.mark.parametrize(
    "damage", [_truncated, _empty, _garbage, _zeros, _other_version, _foreign, _broken_tree]
)
def test_a_damaged_file_is_kept_aside_and_a_new_spool_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    _filled(tmp_path)
    damage(tmp_path / "spool.db")
    damaged = (tmp_path / "spool.db").read_bytes()
    caplog.clear()
    spool = open_spool(tmp_path, "a")
    (kept,) = [path for path in tmp_path.iterdir() if path.name.startswith("spool.db.damaged-")]
    assert kept.read_bytes() == damaged
    assert caplog.messages == ["damaged spool put aside, a new one started"]
    spool.commit([entry("after")], NOW)
    assert deliver_all(spool) == ["after"]
    check(spool)
    spool.close()
    caplog.clear()
    open_spool(tmp_path, "a").close()
    assert caplog.messages == []


def test_rows_lost_to_damage_are_counted_when_they_are_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _filled(tmp_path)
    _broken_tree(tmp_path / "spool.db")
    spool = open_spool(tmp_path, "a")
    (total,) = spool.totals()
    assert (total.accepted, total.delivered, total.waiting, total.dead) == (30, 10, 0, 0)
    assert dict(total.dropped) == {"damaged_spool": 20}
    assert caplog.records[0].__dict__["fields"]["lost_rows"] == 20
    spool.commit([entry("after")], NOW)
    assert seal(spool).first == 31
    check(spool)
    spool.close()


def test_a_flipped_bit_is_noticed_and_the_file_put_aside_at_the_next_start(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry("x" * 3000)], NOW)
    spool.close()
    data = (tmp_path / "spool.db").read_bytes()
    _overwrite(tmp_path / "spool.db", data.index(b"xxxxxxxx") + 100, b"y")
    spool = open_spool(tmp_path, "a")
    with pytest.raises(SpoolDamaged, match="rows 1 to 1 of events") as caught:
        spool.load(seal(spool))
    assert "xxx" not in str(caught.value)
    assert spool.verify().problems == ("events: rows 1 to 1 are damaged",)
    spool.close()
    spool = open_spool(tmp_path, "a")
    (total,) = spool.totals()
    assert (total.waiting, dict(total.dropped)) == (0, {"damaged_spool": 1})
    spool.close()


def test_an_empty_file_of_a_first_start_is_no_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool.db").touch()
    open_spool(tmp_path, "a").close()
    assert caplog.messages == []


def test_a_killed_process_leaves_a_log_that_is_no_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(1)], NOW)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("spool.db*"):
        (copy / path.name).write_bytes(path.read_bytes())
    spool.close()
    again = open_spool(copy, "a")
    assert caplog.messages == []
    assert deliver_all(again) == ["1"]
    again.close()


def test_a_spool_that_was_put_aside_once_can_be_put_aside_again(tmp_path: Path) -> None:
    for _ in range(3):
        _filled(tmp_path)
        _garbage(tmp_path / "spool.db")
        Spool.open(tmp_path, clock=lambda: NOW).close()
    kept = [path.name for path in tmp_path.iterdir() if "damaged" in path.name]
    assert len(kept) == 3


def test_dead_letters_of_a_sound_spool_are_not_touched_by_the_check(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _filled(tmp_path)
    caplog.clear()
    spool = open_spool(tmp_path, "a")
    assert len(spool.dead_letters(DeadFilter())) == 1
    assert caplog.messages == []
    check(spool)
    spool.close()


def test_a_folder_that_cannot_be_written_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Exception, match="cannot be written"):
        open_spool(tmp_path / "file")
