"""The spool's commands on a real spool: through a running server's socket, and on the file when none runs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.dead import CONFIG, SINK, listed, prepared, spool_of, totals, usable
from tests.support.typed import Ending, typed
from tracker.batching.spool import Spool
from tracker.events import Entry, Row

LINES = tuple(json.dumps({"eid": number, "lat": "x" * number}).encode() for number in range(1, 6))


def spooled(folder: Path) -> Spool:
    """Five rows for one sink: the second and the fourth were refused, the rest waits as a sealed child."""
    spool = prepared(folder)
    spool.commit([Entry((Row("events", line),)) for line in LINES], 1.9e9)
    sealed = spool.seal(SINK, "events", 100, 1_000_000, 1.9e9)
    assert sealed is not None
    spool.reject(sealed, {1: "column lat: xx", 3: "column lat: xxxx"}, 1.9e9)
    return spool


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder with such a spool, and no server."""
    async with usable(tmp_path, spooled(tmp_path), is_running=False):
        yield tmp_path


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Path]:
    """The same folder with a server's control socket on it."""
    async with usable(tmp_path, spooled(tmp_path), is_running=True):
        yield tmp_path


@pytest.fixture(params=["running", "stopped"])
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Path]:
    """Either."""
    async with usable(tmp_path, spooled(tmp_path), is_running=request.param == "running"):
        yield tmp_path


def files_of_spools(folder: Path) -> list[Path]:
    """What lies in the folder of a file that was put aside, and is one or belongs to one."""
    return list(folder.glob("spool.db*"))


async def test_every_command_sees_what_the_one_before_did(place: Path) -> None:
    assert await typed(place, "spool", "verify") == Ending(0, "the spool is sound\n", "")
    assert await totals(place) == {"accepted": 5, "dead": 2, "waiting": 3, "dropped": {}, "difference": 0}

    told = await listed(place)
    assert (told["total"], told["shown"]) == (2, 2)
    assert [(one["sink"], one["table"], one["reason"]) for one in told["letters"]] == [
        (SINK, "events", "column lat: xx"),
        (SINK, "events", "column lat: xxxx"),
    ]
    first = str(told["letters"][0]["id"])
    shown = await typed(place, "dead", "show", first)
    assert shown.out.splitlines()[-1].encode() == LINES[1]

    assert await typed(place, "dead", "replay", first) == Ending(0, "1 sent again\n", "")
    assert await typed(place, "dead", "drop", "--all", "--table", "events") == Ending(0, "1 dropped\n", "")
    assert await totals(place) == {
        "accepted": 5, "dead": 0, "waiting": 4, "dropped": {"by_command": 1}, "difference": 0,
    }  # fmt: skip


async def test_the_spool_is_listed_with_its_sizes(place: Path) -> None:
    lines = (await typed(place, "spool", "ls")).out.splitlines()
    assert lines[2].split(" | ")[2:] == [
        "       5", "        0", "   2", "      3", "0",
    ]  # fmt: skip
    dead = len(LINES[1]) + len(LINES[3])
    assert f"{dead} of 1,073,741,824 bytes of dead letters" in lines
    assert "0 ids remembered" in lines


async def test_a_filter_that_nothing_passes_touches_nothing(place: Path) -> None:
    assert await typed(place, "dead", "drop", "--all", "--reason", "other") == Ending(1, "0 dropped\n", "")
    assert await typed(place, "dead", "replay", "--all", "--table", "no") == Ending(1, "0 sent again\n", "")
    assert await typed(place, "dead", "ls", "--sink", "other") == Ending(0, "0 dead letters, 0 shown\n", "")
    assert (await totals(place))["dead"] == 2


async def test_every_row_that_waits_is_exported_with_its_bytes_and_stays(place: Path) -> None:
    await typed(place, "dead", "replay", "--all", "--reason", "xxxx")
    ending = await typed(place, "spool", "export", str(place / "rows"))
    assert ending == Ending(0, "4 rows exported\n", "")
    raw = (place / "rows").read_bytes().splitlines()
    lines = [json.loads(one) for one in raw]
    assert [(one["sinks"], one["table"], one["n"]) for one in lines[:3]] == [
        ([SINK], "events", n) for n in (1, 3, 5)
    ]
    assert lines[3]["batch"]
    assert all(stored in line for stored, line in zip((*LINES[::2], LINES[3]), raw, strict=True))
    assert await totals(place) == {"accepted": 5, "dead": 1, "waiting": 4, "dropped": {}, "difference": 0}


async def test_only_the_backlog_of_a_sink_that_is_gone_can_be_dropped(tmp_path: Path) -> None:
    spool = spooled(tmp_path)
    spool.attach_sinks(["another"])
    async with usable(tmp_path, spool, is_running=True):
        assert await typed(tmp_path, "spool", "drop-sink", SINK) == Ending(0, "3 rows dropped\n", "")
        ending = await typed(tmp_path, "spool", "drop-sink", "another")
    assert (ending.code, ending.out) == (1, "")
    assert "is in use or was never known" in ending.err


async def test_a_damaged_row_fails_the_check_and_is_missing_from_the_export_which_says_so(
    tmp_path: Path,
) -> None:
    spool = spooled(tmp_path)
    with spool.database.transaction() as db:
        db.execute("UPDATE chunks SET data = CAST(replace(data, 'x', 'y') AS BLOB)")
    async with usable(tmp_path, spool, is_running=True):
        assert await typed(tmp_path, "spool", "verify") == Ending(
            1, "", "tracker: events: rows 1 to 5 are damaged\n"
        )
        ending = await typed(tmp_path, "spool", "export", str(tmp_path / "rows"))
    assert ending == Ending(1, "0 rows exported\n", "tracker: 5 rows cannot be read\n")


async def test_a_spool_file_that_was_put_aside_is_checked_and_exported_as_far_as_it_can_be_read(
    folder: Path,
) -> None:
    aside = folder / "spool.db.damaged-20261123T000000Z"
    (spool_of(folder) / "spool.db").rename(aside)
    before = aside.read_bytes()
    assert await typed(folder, "spool", "verify", "--file", str(aside)) == Ending(
        0, "the spool is sound\n", ""
    )
    ending = await typed(folder, "spool", "export", "--file", str(aside), str(folder / "rows"))
    assert ending == Ending(0, "3 rows exported\n", "")
    assert aside.read_bytes() == before
    assert files_of_spools(folder) == [aside]
    (folder / "text").write_text("no spool")
    ending = await typed(
        folder, "spool", "export", "--file", str(folder / "text"), "--force", str(folder / "rows")
    )
    assert (ending.code, ending.out) == (1, "0 rows exported\n")
    assert "file is not a database" in ending.err
    assert (await typed(folder, "spool", "verify", "--file", str(folder / "text"))).code == 1
    assert (await typed(folder, "spool", "verify", "--file", str(folder / "nothing"))).code == 1


async def test_a_spool_of_another_process_is_refused_in_one_line(tmp_path: Path) -> None:
    spool = spooled(tmp_path)
    ending = await typed(tmp_path, "spool", "ls")
    spool.close()
    assert ending.code == 1
    assert len(ending.err.splitlines()) == 1


async def test_looking_at_a_spool_that_is_not_there_does_not_make_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(CONFIG, encoding="utf-8")
    ending = await typed(tmp_path, "spool", "ls")
    assert ending.code == 1
    assert "there is no spool" in ending.err
    assert not (tmp_path / "data").exists()


async def test_records_that_are_sent_are_counted_and_durable(served: Path) -> None:
    lines = b'{"id": "signups"}\nnot json\n{"id": "signups", "total": 2}\n'
    ending = await typed(served, "send", "--kind", "count", "-", stdin=lines)
    assert (ending.code, ending.out) == (1, "2 accepted, 1 rejected\n")
    assert ending.err.startswith("line 2: ")
    told = json.loads((await typed(served, "spool", "ls", "--json")).out)
    assert {one["table"]: one["waiting"] for one in told["tables"]} == {"events": 3, "counters": 2}
    status = json.loads((await typed(served, "status", "--json")).out)
    assert status["metrics"]["event_count"] == 2
    assert status["conservation"]["is_kept"] is True


async def test_a_server_without_a_store_that_answers_says_so(served: Path) -> None:
    ending = await typed(served, "sql", "SELECT 1")
    assert ending == Ending(1, "", "tracker: no configured store can answer questions\n")
