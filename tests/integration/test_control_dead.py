"""Dead letters as a person looks after them: the same through a running server and on the file."""

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dead import SINK, listed, misfits, prepared, put_aside, served, totals, usable
from tests.support.server import ROOT
from tests.support.typed import Ending, typed, typed_here
from tracker.commands.client import ControlClient
from tracker.commands.remote import RemoteSpool

LETTERS = misfits(5)
ODD = "sink 'a' \"b\" ü/?&=%00;--"


@pytest.fixture(params=["running", "stopped"])
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Path]:
    """Five dead letters, ids 1 to 5: three have no number as lat, two more of another kind."""
    spool = prepared(tmp_path)
    put_aside(spool, LETTERS[:3], 'column lat: cannot convert "x\n1" to DOUBLE')
    put_aside(spool, LETTERS[3:], "not JSON")
    async with usable(tmp_path, spool, is_running=request.param == "running"):
        yield tmp_path


def left_over(place: Path) -> list[Path]:
    """Files of exports that were not finished."""
    return list(place.glob(".*.part"))


async def shown_row(place: Path, letter: int) -> bytes:
    """A dead letter's row."""
    told: dict[str, Any] = json.loads((await typed(place, "dead", "show", "--json", str(letter))).out)
    return str(told["row"]).encode()


async def test_they_are_counted_by_kind_of_reason_and_listed_up_to_a_limit(place: Path) -> None:
    told = await listed(place, "--limit", "2")
    assert (told["total"], told["shown"], len(told["letters"])) == (5, 2, 2)
    assert [(one["sink"], one["reason"], one["rows"]) for one in told["summary"]] == [
        (SINK, "column lat: cannot convert … to DOUBLE", 3),
        (SINK, "not JSON", 2),
    ]
    lines = (await typed(place, "dead", "ls", "--limit", "2")).out.splitlines()
    assert lines[-1] == "5 dead letters, 2 shown"
    assert len([line for line in lines if r"\n" in line]) == 2
    assert (await listed(place, "--reason", "JSON"))["total"] == 2


async def test_one_is_shown_on_lines_that_no_reason_can_break(place: Path) -> None:
    lines = (await typed(place, "dead", "show", "1")).out.splitlines()
    assert lines[-2] == r'reason: column lat: cannot convert "x\n1" to DOUBLE'
    assert lines[-1].encode() == LETTERS[0]
    assert await typed(place, "dead", "show", "9") == Ending(1, "", "tracker: there is no dead letter 9\n")


async def test_ids_that_do_not_exist_are_named_and_the_others_go(place: Path) -> None:
    ending = await typed(place, "dead", "replay", "2", "77", "2", "78")
    assert ending == Ending(1, "1 sent again\n", "tracker: 2 are no dead letters: 77, 78\n")
    ending = await typed(place, "dead", "drop", "2", "3")
    assert ending == Ending(1, "1 dropped\n", "tracker: 1 are no dead letters: 2\n")
    assert await totals(place) == {
        "accepted": 5, "dead": 3, "waiting": 1, "dropped": {"by_command": 1}, "difference": 0,
    }  # fmt: skip


async def test_what_was_sent_again_cannot_be_sent_twice(place: Path) -> None:
    assert await typed(place, "dead", "replay", "--all") == Ending(0, "5 sent again\n", "")
    assert await typed(place, "dead", "replay", "--all") == Ending(1, "0 sent again\n", "")
    assert (await typed(place, "dead", "replay", "1", "2")).out == "0 sent again\n"
    await typed(place, "spool", "export", str(place / "rows"))
    assert [json.loads(line)["row"] for line in (place / "rows").read_bytes().splitlines()] == [
        json.loads(row) for row in LETTERS
    ]
    assert (await totals(place))["waiting"] == 5


async def test_an_export_holds_every_letter_with_its_row_and_only_its_owner_can_read_it(place: Path) -> None:
    target = place / "letters"
    assert await typed(place, "dead", "export", str(target)) == Ending(0, "5 dead letters exported\n", "")
    raw = target.read_bytes().splitlines()
    lines = [json.loads(line) for line in raw]
    assert [line["id"] for line in lines] == [1, 2, 3, 4, 5]
    assert set(lines[0]) == {"id", "sink", "table", "batch", "at", "reason", "row"}
    assert all(row in line for row, line in zip(LETTERS, raw, strict=True))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (await totals(place))["dead"] == 5


async def test_an_export_never_takes_the_place_of_a_file_by_accident(place: Path) -> None:
    target = place / "letters"
    target.write_text("mine")
    ending = await typed(place, "dead", "export", str(target))
    assert ending == Ending(1, "", f"tracker: {target} is there already; --force replaces it\n")
    assert target.read_text() == "mine"
    ending = await typed(place, "dead", "export", "--force", "--reason", "JSON", str(target))
    assert ending.out == "2 dead letters exported\n"
    assert len(target.read_bytes().splitlines()) == 2
    assert (await typed(place, "dead", "export", "--force", str(place))).code == 1
    assert (await typed(place, "dead", "export", str(place / "no" / "file"))).code == 1
    assert not left_over(place)


async def test_an_export_goes_to_standard_output_with_its_count_beside_it(place: Path) -> None:
    ending = await started(place, "dead", "export", "-")
    assert (ending.code, ending.err) == (0, "5 dead letters exported\n")
    assert len(ending.out.splitlines()) == 5


async def test_whoever_stops_reading_an_export_is_not_told_off(tmp_path: Path) -> None:
    spool = prepared(tmp_path)
    put_aside(spool, misfits(2000, url="x" * 500), "bad")
    async with served(tmp_path, spool):
        ending = await started(tmp_path, "dead", "export", "-", pipe="| head -c 10")
    assert (ending.out, ending.err) == ('{"id":1,"s', "")


async def test_an_edit_that_fits_is_made_and_sent_and_the_others_stay_named(place: Path) -> None:
    edit = '[{"op": "test", "path": "/lat", "value": "x1"}, {"op": "replace", "path": "/lat", "value": 1.5}]'
    ending = await typed(place, "dead", "replay", "--edit", edit, "1", "2", "3")
    assert (ending.code, ending.out) == (1, "1 sent again, 1 edited\n")
    assert [line.split(" stays")[0] for line in ending.err.splitlines()] == ["tracker: 1", "tracker: 3"]
    await typed(place, "spool", "export", str(place / "rows"))
    (line,) = (place / "rows").read_bytes().splitlines()
    assert json.loads(line)["row"] == {**json.loads(LETTERS[1]), "lat": 1.5}
    assert await shown_row(place, 1) == LETTERS[0]


async def test_an_edit_from_a_file_mends_all_rows_each_with_its_own_value(place: Path) -> None:
    (place / "edit.json").write_text('[{"op": "move", "from": "/lat", "path": "/url"}]')
    ending = await typed(place, "dead", "replay", "--all", "--edit", f"@{place / 'edit.json'}")
    assert ending == Ending(0, "5 sent again, 5 edited\n", "")
    await typed(place, "spool", "export", str(place / "rows"))
    rows = [json.loads(line)["row"] for line in (place / "rows").read_bytes().splitlines()]
    assert [row["url"] for row in rows] == ["x0", "x1", "x2", "x3", "x4"]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ('[{"op": "remove", "path": "/nothing"}]', "does not fit the row"),
        ('[{"op": "move", "from": "/lat", "path": "/latitude"}]', "no such column"),
        ('[{"op": "replace", "path": "/lat", "value": "y"}]', "column lat: not the form of float64"),
        ('[{"op": "remove", "path": "/eid"}, {"op": "remove", "path": "/lat"}]', "a key must stay as it is"),
        ('[{"op": "replace", "path": "", "value": [1]}]', "not a JSON object"),
        ('[{"op": "replace", "path": "/lat", "value": null}]', "column lat"),
        ("[]", "column lat: not the form of float64"),
    ],
)
async def test_an_edit_that_does_not_make_a_row_of_the_table_leaves_it_as_it_was(
    place: Path, edit: str, reason: str
) -> None:
    ending = await typed(place, "dead", "replay", "--edit", edit, "1")
    assert (ending.code, ending.out) == (1, "0 sent again\n")
    assert ending.err.startswith("tracker: 1 stays as it is: ")
    assert reason in ending.err
    assert await shown_row(place, 1) == LETTERS[0]
    assert (await totals(place))["waiting"] == 0


@pytest.mark.parametrize(
    "edit",
    [
        "",
        "{}",
        "[1]",
        "nonsense",
        '[{"op": "add", "path": "/lat"}]',
        '[{"op": "x", "path": "/a"}]',
        "@no/file",
    ],
)
def test_an_edit_that_is_none_is_typed_wrongly(edit: str) -> None:
    done = typed_here("dead", "replay", "--all", "--edit", edit)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err


async def test_a_row_of_eight_mebibytes_and_one_that_is_no_text_are_kept_exported_and_sent_again(
    tmp_path: Path,
) -> None:
    spool = prepared(tmp_path)
    large = misfits(1, url="x" * 8 * 2**20)[0]
    put_aside(spool, [large, b'{"eid": "\xff"}', *LETTERS], "bad")
    async with served(tmp_path, spool):
        assert await shown_row(tmp_path, 1) == large
        assert (await typed(tmp_path, "dead", "export", str(tmp_path / "letters"))).code == 0
        first, second, *_ = (tmp_path / "letters").read_bytes().splitlines()
        assert large in first
        assert base64.b64decode(json.loads(second)["raw"]) == b'{"eid": "\xff"}'
        assert (await typed(tmp_path, "dead", "replay", "--all")).out == "7 sent again\n"
        assert (await typed(tmp_path, "spool", "export", str(tmp_path / "rows"))).out == "7 rows exported\n"
        assert large in (tmp_path / "rows").read_bytes()


@pytest.mark.parametrize("is_running", [True, False])
async def test_a_sink_of_an_odd_name_and_an_odd_reason_are_found(tmp_path: Path, is_running: bool) -> None:
    spool = prepared(tmp_path)
    spool.attach_sinks([SINK, ODD])
    put_aside(spool, LETTERS[:2], f"\x1b[31m{ODD}\r\n", ODD)
    async with usable(tmp_path, spool, is_running=is_running):
        assert (await listed(tmp_path, "--sink", ODD, "--reason", ODD))["total"] == 2
        ending = await typed(tmp_path, "dead", "ls")
        assert r"\x1b[31m" in ending.out
        assert "\x1b" not in ending.out
        assert await typed(tmp_path, "dead", "drop", "--all", "--sink", ODD) == Ending(0, "2 dropped\n", "")


async def test_of_two_commands_at_once_each_letter_obeys_one(tmp_path: Path) -> None:
    spool = prepared(tmp_path)
    put_aside(spool, misfits(3000), "bad")
    async with served(tmp_path, spool):
        dead = RemoteSpool(ControlClient(tmp_path / "data" / "tracker.sock")).dead
        replays = (dead.replay(None, "", "", "") for _ in range(2))
        endings = await asyncio.gather(*replays, dead.drop(None, "", "", ""))
        told = await totals(tmp_path)
    done = [ending["done"] for ending in endings]
    assert sum(done) == 3000
    assert sum(ending["missing"] for ending in endings), "they never wanted the same"
    assert (told["waiting"], told["dead"], told["difference"]) == (done[0] + done[1], 0, 0)
    assert told["dropped"].get("by_command", 0) == done[2]


async def test_without_a_server_the_second_of_two_commands_is_refused(tmp_path: Path) -> None:
    spool = prepared(tmp_path)
    ending = await typed(tmp_path, "dead", "ls")
    spool.close()
    assert ending.code == 1
    assert "in use by another process" in ending.err


async def test_only_a_running_server_can_release_a_table(place: Path) -> None:
    ending = await typed(place, "dead", "release", SINK, "events")
    assert (ending.code, ending.out) == (1, "")
    assert ("does not hold" in ending.err) != ("no server runs at" in ending.err)
    assert len(ending.err.splitlines()) == 1


async def started(folder: Path, *arguments: str, pipe: str = "") -> Ending:
    """A command in a process of its own, so that its standard output is one."""
    config = str(folder / "config.json")
    command = [sys.executable, "-m", "tracker", arguments[0], "--config", config, *arguments[1:]]
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f'"$@" {pipe}', "sh", *command,
        cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return Ending(process.returncode or 0, out.decode(), err.decode())
