"""A spool that an earlier version left: what it holds goes on, and a disk without room changes nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.spools import check, client_id, deliver_all, entry, names, open_spool
from tracker.batching import upgrade
from tracker.batching.dead_letters import DeadFilter
from tracker.errors import TrackerError

MADE = Path(__file__).with_name("spool_v1.sql").read_text(encoding="utf-8")
AT = 1_795_000_100.0


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "spool.db")) as db:
        db.executescript(MADE)
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    return folder


def test_everything_of_an_earlier_version_goes_on(old: Path) -> None:
    spool = open_spool(old, "a", "b")
    assert not list(old.glob("*.damaged*"))
    check(spool)
    totals = {(t.sink, t.table): (t.accepted, t.delivered, t.dead, t.waiting) for t in spool.totals()}
    assert totals["a", "events"] == (12, 4, 1, 7)
    assert totals["b", "events"] == (12, 0, 0, 12)
    assert totals["a", "hosts"] == totals["b", "hosts"] == (1, 1, 0, 0)
    (batch,) = spool.unfinished("a")
    assert names(spool.load(batch).data) == ["4", "5", "7"]
    spool.finish(batch)
    (letter,) = spool.dead_letters(DeadFilter())
    whole = spool.dead_letter(letter.id)
    assert whole is not None
    assert whole.line == b'{"n":"6"}'
    again = spool.commit([entry("again", client_id=client_id(3)), entry("new"), entry("new", "hosts")], AT)
    assert again.retries == (0,), "an id of before is remembered"
    assert deliver_all(spool, "a") == ["8", "9", "10", "11", "new"]
    assert deliver_all(spool, "b") == [*map(str, range(12)), "new"]
    check(spool)
    spool.close()


def test_an_upgraded_file_whose_first_page_is_gone_is_put_aside_and_nothing_of_it_is_guessed(
    old: Path,
) -> None:
    """Its tables lie elsewhere than in a file that was made anew, and only the first page knew where."""
    open_spool(old, "a", "b").close()
    with (old / "spool.db").open("r+b") as file:
        file.write(bytes(4096))
    spool = open_spool(old, "a", "b")
    assert spool.state().damaged_files == 1
    assert deliver_all(spool, "a") == []
    check(spool)
    spool.close()


def test_a_row_that_was_damaged_before_is_still_known_as_damaged(old: Path) -> None:
    with closing(sqlite3.connect(old / "spool.db")) as db, db:
        changed = db.execute(
            "UPDATE chunks SET data = ? WHERE tbl = 'events' AND first = 10", (b'{"n":"x"}\n',)
        )
        assert changed.rowcount == 1
    spool = open_spool(old, "a", "b")
    (problem,) = spool.verify().problems
    assert "rows 10 to 10" in problem
    spool.close()


def test_without_room_nothing_is_changed_and_the_start_says_so(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = upgrade._script().replace("BEGIN IMMEDIATE;", "PRAGMA max_page_count = 1; BEGIN IMMEDIATE;")
    monkeypatch.setattr(upgrade, "_script", lambda: full)
    with pytest.raises(TrackerError, match="full"):
        open_spool(old, "a")
    monkeypatch.undo()
    spool = open_spool(old, "a", "b")
    check(spool)
    assert sum(total.waiting for total in spool.totals()) == 19
    spool.close()
