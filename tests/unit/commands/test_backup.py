"""The folder of a backup: what is written, and what is refused when it is not whole. No store is needed."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.support.disks import fill, small_disk
from tests.support.typed import typed_here
from tracker.commands.backup_folder import MANIFEST, BackupFolder
from tracker.commands.backup_writing import write
from tracker.commands.client import ControlClient, Refused
from tracker.errors import QueryError, TrackerError

ABOUT = {"made_at": "2026-11-22T03:00:00.000+00:00", "store": "duckdb:test"}
END = {"service": "duckdb", "is_one_moment": True}


def head(table: str, columns: Sequence[str]) -> bytes:
    return orjson.dumps([table, list(columns)]) + b"\n"


def rows(count: int) -> bytes:
    return b"".join(orjson.dumps({"eid": number, "params": {"[": "\n["}}) + b"\n" for number in range(count))


async def parts(
    *pieces: bytes, failure: Exception | None = None
) -> AsyncGenerator[bytes | Mapping[str, Any], None]:
    for piece in pieces:
        yield piece
    if failure is not None:
        raise failure
    yield END


def written(folder: Path, *pieces: bytes) -> BackupFolder:
    asyncio.run(write(parts(*pieces), folder, ABOUT))
    return BackupFolder.open(folder)


def usual(folder: Path) -> Path:
    written(folder, head("events", ["eid", "params"]) + rows(1000) + head("logs", ["id"]))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(TrackerError) as caught:
        copy = BackupFolder.open(folder)
        for table in copy.tables:
            list(copy.pieces(table, 100))
    return str(caught.value)


@given(
    tables=st.dictionaries(
        st.sampled_from(["events", "logs", "updates"]),
        st.lists(st.text(max_size=20), max_size=20),
        max_size=3,
    ),
    data=st.data(),
)
def test_what_was_streamed_comes_back_however_it_was_cut(
    tables: dict[str, list[str]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = {name: [orjson.dumps({"msg": text}) + b"\n" for text in texts] for name, texts in tables.items()}
    flat = [line for name in tables for line in (head(name, ["msg"]), *lines[name])]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(flat)), max_size=4)) | {0, len(flat)})
    pieces = [b"".join(flat[a:b]) for a, b in pairwise(cuts)]
    copy = written(tmp_path_factory.mktemp("backup") / "new", *pieces)
    assert {name: extent.rows for name, extent in copy.tables.items()} == {
        name: len(texts) for name, texts in tables.items()
    }
    for name in tables:
        assert b"".join(piece for piece, _ in copy.pieces(name, 50)) == b"".join(lines[name])
        assert all(piece.endswith(b"\n") for piece, _ in copy.pieces(name, 50))


def test_folder_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    folder = usual(tmp_path / "backup")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted((path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()) == [
        ("events.jsonl.zst", 0o600),
        ("logs.jsonl.zst", 0o600),
        (MANIFEST, 0o600),
    ]


@pytest.mark.parametrize("name", ["a file of mine", MANIFEST])
def test_a_folder_in_which_something_lies_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(TrackerError, match=r"not empty|holds a backup already"):
        asyncio.run(write(parts(head("events", ["eid"])), tmp_path, ABOUT))
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    broken = parts(head("events", ["eid"]), rows(1000), failure=QueryError("gone"))
    with pytest.raises(TrackerError, match="gone"):
        asyncio.run(write(broken, tmp_path / "new", ABOUT))
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_ends_without_its_last_word_leaves_nothing(tmp_path: Path) -> None:
    async def cut() -> AsyncGenerator[bytes | Mapping[str, Any], None]:
        yield head("events", ["eid"]) + rows(1000)

    with pytest.raises(TrackerError, match="the store broke off"):
        asyncio.run(write(cut(), tmp_path / "new", ABOUT))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("last", [rows(1), head("logs", ["id"])], ids=["a row", "a table"])
async def test_a_servers_answer_that_ends_at_a_lines_end_is_not_whole(tmp_path: Path, last: bytes) -> None:
    async def backup(_: web.Request) -> web.Response:
        return web.Response(body=head("events", ["eid"]) + rows(3) + last)

    app = web.Application()
    app.router.add_get("/backup", backup)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "socket")).start()
    try:
        with pytest.raises(Refused, match="the server broke off"):
            await write(ControlClient(tmp_path / "socket").stream("/backup"), tmp_path / "new", ABOUT)
    finally:
        await runner.cleanup()
    assert not await asyncio.to_thread((tmp_path / "new").exists)


def test_a_full_disk_is_said_and_leaves_no_file() -> None:
    with small_disk(4) as disk:
        fill(disk, leave=16_384)
        noise = [bytes(f'{{"msg":"{number**300:x}"}}\n', "ascii") for number in range(10**6, 10**6 + 500)]
        with pytest.raises(TrackerError, match=r"cannot write .*: No space left on device"):
            asyncio.run(write(parts(head("events", ["msg"]), *noise), disk / "new", ABOUT))
        assert [path.name for path in disk.iterdir()] == ["rest"]


def test_without_its_manifest_nothing_is_a_backup(tmp_path: Path) -> None:
    folder = usual(tmp_path / "backup")
    (folder / MANIFEST).unlink()
    assert f"{folder / MANIFEST} is missing" in refusal(folder)


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_changed_byte_is_found_and_its_file_named(tmp_path: Path, place: int) -> None:
    file = usual(tmp_path / "backup") / "events.jsonl.zst"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert refusal(file.parent) == f"{file} is not as it was written: the backup is damaged"


def test_a_cut_file_is_found_and_named(tmp_path: Path) -> None:
    file = usual(tmp_path / "backup") / "events.jsonl.zst"
    file.write_bytes(file.read_bytes()[:-10])
    assert f"{file} is not as it was written" in refusal(file.parent)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = usual(tmp_path / "backup") / "logs.jsonl.zst"
    file.unlink()
    assert refusal(file.parent) == f"{file}: No such file or directory: the backup is damaged"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "format 2 is not one that this version reads"),
        ({"tables": {"events": {"file": "../events"}}}, "does not say what the backup holds"),
        ({"tables": 3}, "does not say what the backup holds"),
    ],
    ids=["format", "files", "tables"],
)
def test_a_manifest_that_says_something_else_is_refused(
    tmp_path: Path, change: Mapping[str, Any], reason: str
) -> None:
    manifest = usual(tmp_path / "backup") / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_bytes()) | change), encoding="utf-8")
    assert reason in refusal(manifest.parent)


def test_a_manifest_names_no_file_outside_the_folder(tmp_path: Path) -> None:
    manifest = usual(tmp_path / "backup") / MANIFEST
    about = json.loads(manifest.read_bytes())
    about["tables"]["events"]["file"] = "../events.jsonl.zst"
    manifest.write_text(json.dumps(about), encoding="utf-8")
    assert "does not say what the backup holds" in refusal(manifest.parent)


def test_another_number_of_rows_than_the_manifest_says_is_found(tmp_path: Path) -> None:
    manifest = usual(tmp_path / "backup") / MANIFEST
    about = json.loads(manifest.read_bytes())
    about["tables"]["events"]["rows"] = 999
    manifest.write_text(json.dumps(about), encoding="utf-8")
    assert "events.jsonl.zst holds 1000 rows, not 999" in refusal(manifest.parent)


def test_which_store_must_be_said_where_there_are_two(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    stores = [{"Service": "duckdb", "Context": name} for name in ("a.duckdb", "b.duckdb")]
    config.write_text(json.dumps({"Notify": stores}), encoding="utf-8")
    for command in ("backup", "restore"):
        done = typed_here(command, str(config), str(tmp_path / "backup"))
        assert done.code == 78  # EX_CONFIG
        assert "--store NAME; there are: duckdb:a.duckdb, duckdb:b.duckdb" in done.err
    assert not (tmp_path / "backup").exists()


def test_a_store_that_was_never_made_has_no_backup(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"Notify": [{"Service": "duckdb"}]}', encoding="utf-8")
    done = typed_here("backup", "--store", "duckdb", str(tmp_path / "config.json"), str(tmp_path / "backup"))
    assert (done.code, done.out) == (1, "")
    assert "nothing has been stored there yet" in done.err
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("words", [["backup"], ["restore", "a", "b", "c"]], ids=["none", "three"])
def test_one_folder_is_wanted_and_at_most_one_configuration(words: list[str]) -> None:
    assert typed_here(*words).code == 2
