"""What is read of a spool file that was put aside: every row that can be, and how many cannot."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.spools import NOW, entry, open_spool, seal
from tracker.batching.damaged_file import DamagedFile
from tracker.batching.dead_letters import DeadFilter
from tracker.errors import TrackerError

ROWS = 400
PAGE = 4096


def put_aside(folder: Path) -> Path:
    """A closed file of four hundred rows in as many chunks: ten are in a batch, five of ten dead replayed."""
    spool = open_spool(folder, "a", "b", chunk_bytes=1)
    for start in range(0, ROWS, 50):
        spool.commit([entry(f"{number:04}" + "x" * 600) for number in range(start, start + 50)], NOW)
    spool.reject(seal(spool, rows=10), dict.fromkeys(range(10), "bad"), NOW)
    spool.replay([1, 2, 3, 4, 5], DeadFilter(), NOW)
    seal(spool, rows=10)
    spool.close()
    return folder / "spool.db"


async def exported(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines, and the counts that come last."""
    with DamagedFile(file) as tools:
        parts = [part async for part in tools.export()]
    told = parts.pop()
    assert isinstance(told, dict)
    data = b"".join(part for part in parts if isinstance(part, bytes))
    return [json.loads(one) for one in data.splitlines()], told


async def test_a_sound_file_gives_every_row_that_waits_with_its_sinks(tmp_path: Path) -> None:
    lines, told = await exported(put_aside(tmp_path))
    assert told == {"rows": ROWS + 5, "damaged": 0, "problems": []}
    assert [one["sinks"] for one in lines[:11]] == [["b"]] * 10 + [["a", "b"]]
    assert [one["row"]["n"][:4] for one in lines[:ROWS]] == [f"{number:04}" for number in range(ROWS)]
    assert [(one["sinks"], one["row"]["n"][:4]) for one in lines[ROWS:]] == [
        (["a"], f"{number:04}") for number in range(5)
    ]


@pytest.mark.parametrize("seed", range(12))
async def test_of_a_file_with_broken_pages_everything_else_is_read_and_nothing_that_was_never_stored(
    tmp_path: Path, seed: int
) -> None:
    file = put_aside(tmp_path)
    chance = random.Random(seed)
    data = bytearray(file.read_bytes())
    pages = chance.sample(range(1, len(data) // PAGE), 3)  # all but the first
    for page in pages:
        for _ in range(8):
            data[page * PAGE + chance.randrange(PAGE)] ^= chance.randrange(1, 256)
    file.write_bytes(data)
    lines, told = await exported(file)
    assert len(lines) == told["rows"]
    sound = [one for one in lines if "suspect" not in one and one.get("row")]
    assert {one["row"]["n"][4:] for one in sound if "batch" not in one} <= {"x" * 600}
    numbers = [one["n"] for one in sound if "batch" not in one]
    assert len(numbers) == len(set(numbers))
    assert file.read_bytes() == data
    with DamagedFile(file) as tools:
        verdict = await tools.verify()
    if len(sound) < ROWS + 5:
        assert not verdict["ok"]
    if "what waited for whom" not in str(told["problems"]):
        assert told["damaged"] == ROWS - len([one for one in lines if "batch" not in one])


async def test_a_truncated_file_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    file = put_aside(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 7 // 8 // PAGE * PAGE])
    lines, told = await exported(file)
    assert 20 < len(lines) < ROWS
    assert told["problems"]


async def test_rows_that_only_the_log_beside_a_file_holds_are_read_too(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "used", "a")
    spool.commit([entry(number) for number in range(10)], NOW)
    file = tmp_path / "spool.db.damaged"
    for ending in ("", "-wal"):
        shutil.copy(tmp_path / "used" / f"spool.db{ending}", f"{file}{ending}")
    spool.close()
    lines, told = await exported(file)
    assert ([one["row"]["n"] for one in lines], told["damaged"]) == ([str(n) for n in range(10)], 0)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 4096])
async def test_a_file_that_is_no_spool_gives_nothing_and_says_why(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "spool.db.damaged"
    file.write_bytes(content)
    lines, told = await exported(file)
    assert not lines
    assert told["problems"]
    with DamagedFile(file) as tools:
        assert not (await tools.verify())["ok"]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match="there is no spool file"), DamagedFile(tmp_path / "none"):
        pass
