"""A damaged or foreign file never stops the start: it is kept aside, what was lost is said and counted."""

import os
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.spools import NOW, check, client_id, deliver_all, entry, names, open_spool, seal
from tracker.batching.cutting import SpoolDamaged
from tracker.batching.dead_letters import DeadFilter
from tracker.batching.spool import Spool
from tracker.errors import CannotStore, TrackerError


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


def _first_pages(path: Path) -> None:
    """What a stray write hits: header, schema and all small tables."""
    _overwrite(path, 0, os.urandom(64 * 1024))


def _unreadable_schema(path: Path) -> None:
    """SQLite's own message about it is no text any more."""
    data = path.read_bytes()
    _overwrite(path, data.index(b"tablechunks") + len(b"table"), b"\xc4")
    _overwrite(path, data.index(b"CREATE TABLE chunks"), b"NOTHING")


def _delivered(spool: Spool) -> list[str]:
    """Everything that waits, unfinished batches first."""
    rows = []
    for sealed in spool.unfinished("a"):
        rows += names(spool.load(sealed).data)
        spool.finish(sealed)
    return rows + deliver_all(spool)


def _kept(folder: Path) -> list[Path]:
    """Files that were put aside, without their logs."""
    return [path for path in folder.glob("spool.db.damaged-*") if not path.name.endswith(("-wal", "-shm"))]


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


LOST = 0
"""Rows carried over from a file of which nothing is left."""


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (_truncated, LOST),
        (_empty, LOST),
        (_garbage, LOST),
        (_zeros, LOST),
        (_foreign, LOST),
        (_other_version, 19),
        (_broken_tree, 19),
        (_first_pages, 19),
        (_unreadable_schema, 19),
    ],
)
def test_a_damaged_file_is_kept_aside_and_what_it_still_holds_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None], kept: int
) -> None:
    _filled(tmp_path)
    damage(tmp_path / "spool.db")
    damaged = (tmp_path / "spool.db").read_bytes()
    caplog.clear()
    spool = open_spool(tmp_path, "a")
    assert spool.state().damaged_files == 1
    (aside,) = _kept(tmp_path)
    assert aside.read_bytes() == damaged
    assert caplog.messages == [
        "spool is damaged, the start waits until it is read through",
        "damaged spool put aside, what could be read of it goes on",
    ]
    fields = caplog.records[1].__dict__["fields"]
    assert (fields["kept_rows"], fields["kept_as"]) == (kept, aside.name)
    spool.commit([entry("after")], NOW)
    rows = _delivered(spool)
    assert (len(rows), rows[-1]) == (kept + 1, "after")
    check(spool)
    spool.close()
    caplog.clear()
    open_spool(tmp_path, "a").close()
    assert caplog.messages == []


def test_rows_lost_to_damage_are_said_in_one_line_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _filled(tmp_path)
    path = tmp_path / "spool.db"
    data = path.read_bytes()
    _broken_tree(path)
    _overwrite(path, data.index(b'"20 xx') + 500, b"y")
    spool = open_spool(tmp_path, "a")
    (total,) = spool.totals()
    assert (total.accepted, total.delivered, total.waiting, total.dead) == (30, 10, 18, 1)
    assert dict(total.dropped) == {"damaged_spool": 1}
    fields = caplog.records[-1].__dict__["fields"]
    assert (fields["lost_rows"], fields["lost"]) == (1, {"events for a": 1})
    spool.commit([entry("after")], NOW)
    assert [name.split()[0] for name in _delivered(spool)] == [
        *(str(number) for number in range(11, 30) if number != 20),
        "after",
    ]
    check(spool)
    spool.close()


def test_a_batch_that_loses_rows_keeps_its_id_and_goes_on_with_the_others(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    for n in range(10):
        spool.commit([entry(f"{n} " + "x" * 2000)], NOW)
    sealed = seal(spool, rows=10)
    spool.close()
    path = tmp_path / "spool.db"
    data = path.read_bytes()
    for n in (0, 4, 9):
        _overwrite(path, data.index(b'"%d xx' % n) + 500, b"y")
    _broken_tree(path)
    spool = open_spool(tmp_path, "a")
    (again,) = spool.unfinished("a")
    assert (again.id, again.rows, again.is_repeat) == (sealed.id, 7, True)
    assert [name[0] for name in names(spool.load(again).data)] == list("1235678")
    check(spool)
    spool.close()


def test_a_damaged_chunk_is_noticed_on_loading_and_the_rows_around_it_are_delivered(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    for n in range(3):
        spool.commit([entry(f"{n} " + "x" * 3000)], NOW)
    spool.close()
    path = tmp_path / "spool.db"
    _overwrite(path, path.read_bytes().index(b'"1 xx') + 100, b"y")
    spool = open_spool(tmp_path, "a")
    sealed = seal(spool)
    with pytest.raises(SpoolDamaged, match="rows 1 to 3 of events") as caught:
        spool.load(sealed)
    assert "xxx" not in str(caught.value)
    assert spool.verify().problems == ("events: rows 2 to 2 are damaged",)
    lost = spool.changed_rows(sealed)
    left = spool.give_up(sealed, lost)
    assert left is not None
    assert spool.give_up(sealed, lost) == left, "asked again, it is done once"
    assert [name[0] for name in names(spool.load(left).data)] == ["0", "2"]
    spool.finish(left)
    (total,) = spool.totals()
    assert (total.delivered, dict(total.dropped)) == (2, {"damaged_spool": 1})
    while spool.housekeep(NOW):
        pass
    check(spool)
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
    assert len(_kept(tmp_path)) == 3


def test_an_index_that_breaks_while_the_spool_is_in_use_is_said_and_the_next_start_mends_it(
    tmp_path: Path,
) -> None:
    _filled(tmp_path)
    spool = open_spool(tmp_path, "a")
    _overwrite(tmp_path / "spool.db", 2 * 4096, os.urandom(4096))
    spool.database.connection().close()
    for _ in range(2):  # the first notices that the connection is gone, the second reads the file anew
        with pytest.raises(CannotStore):
            spool.commit([entry("refused")], NOW)
    assert spool.state().failure == "spool damaged"
    spool.close()
    spool = open_spool(tmp_path, "a")
    assert len(_delivered(spool)) == 19
    check(spool)
    spool.close()


def test_a_folder_in_the_place_of_the_file_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "spool.db").mkdir()
    spool = open_spool(tmp_path, "a")
    spool.commit([entry(1)], NOW)
    assert deliver_all(spool) == ["1"]
    assert spool.state().damaged_files == 1
    spool.close()


def _left_by_a_kill(folder: Path, copy: Path) -> None:
    """What a process that was killed leaves: five rows, all of them in the log."""
    spool = open_spool(folder, "a")
    for n in range(5):
        spool.commit([entry(n)], NOW)
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    spool.close()


def test_a_log_that_is_missing_after_a_kill_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _left_by_a_kill(tmp_path / "spool", tmp_path / "copy")
    (tmp_path / "copy" / "spool.db-wal").unlink()
    open_spool(tmp_path / "copy", "a").close()
    assert caplog.records[-1].__dict__["fields"]["problem"] == "its log is missing"


def test_a_log_that_lost_its_end_after_a_kill_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _left_by_a_kill(tmp_path / "spool", tmp_path / "copy")
    log = tmp_path / "copy" / "spool.db-wal"
    os.truncate(log, log.stat().st_size - 5000)
    spool = open_spool(tmp_path / "copy", "a")
    assert "pages of its log are damaged or missing" in caplog.records[-1].__dict__["fields"]["problem"]
    assert deliver_all(spool) == ["0", "1", "2", "3"]
    check(spool)
    spool.close()


def test_commits_behind_a_damaged_page_of_the_log_are_not_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _left_by_a_kill(tmp_path / "spool", tmp_path / "copy")
    log = tmp_path / "copy" / "spool.db-wal"
    _overwrite(log, log.read_bytes().index(b'{"n":"0"}') + 2, b"m")
    spool = open_spool(tmp_path / "copy", "a")
    assert "pages of its log are damaged or missing" in caplog.records[-1].__dict__["fields"]["problem"]
    assert deliver_all(spool) == ["0", "1", "2", "3", "4"], "the page was written again by each commit"
    check(spool)
    spool.close()


def test_a_start_that_was_cut_off_while_it_put_the_new_file_in_place_is_finished(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _filled(tmp_path)
    (tmp_path / "spool.db").rename(tmp_path / "spool.db.salvaged")
    (tmp_path / "spool.db-wal").write_bytes(b"of the damaged file")
    (tmp_path / "spool.db.salvaging").write_bytes(b"half of a second try")
    spool = open_spool(tmp_path, "a")
    assert caplog.messages == ["salvaged spool taken over from a start that was cut off"]
    assert len(_delivered(spool)) == 19
    assert not [path for path in tmp_path.iterdir() if "salvag" in path.name]
    check(spool)
    spool.close()


def test_a_spool_that_cannot_be_carried_over_for_want_of_room_stays_as_it_is(tmp_path: Path) -> None:
    _filled(tmp_path)
    _broken_tree(tmp_path / "spool.db")
    before = (tmp_path / "spool.db").read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    try:
        with pytest.raises(TrackerError, match="make room for up to"):
            open_spool(tmp_path, "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (tmp_path / "spool.db").read_bytes() == before
    spool = open_spool(tmp_path, "a")
    assert len(_delivered(spool)) == 19
    spool.close()


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
