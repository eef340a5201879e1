"""Keys in files: there before they are used, the same for all who share the folder, destroyed when due."""

import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tracker.keys_on_disk import KEY_BYTES, DayKeys, destroy, kept_key

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2
"""2024-10-04, noon."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "keys"
    key = kept_key(folder, "iphash.key")
    assert len(key) == KEY_BYTES
    assert kept_key(folder, "iphash.key") == key == (folder / "iphash.key").read_bytes()
    assert kept_key(folder, "other.key") != key
    assert stat.S_IMODE((folder / "iphash.key").stat().st_mode) == 0o600
    assert names(folder) == ["iphash.key", "other.key"]


def test_all_who_make_a_key_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: kept_key(tmp_path, "k.key"), range(64)))
    assert len(keys) == 1
    assert names(tmp_path) == ["k.key"]


def test_what_is_no_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "k.key").write_bytes(b"short")
    with pytest.raises(OSError, match="is no key"):
        kept_key(tmp_path, "k.key")
    assert (tmp_path / "k.key").read_bytes() == b"short"


def test_a_key_that_is_destroyed_was_overwritten_before_its_name_went(tmp_path: Path) -> None:
    key = kept_key(tmp_path, "k.key")
    os.link(tmp_path / "k.key", tmp_path / "same-blocks")
    destroy(tmp_path / "k.key")
    assert names(tmp_path) == ["same-blocks"]
    left = (tmp_path / "same-blocks").read_bytes()
    assert len(left) == KEY_BYTES
    assert left != key
    destroy(tmp_path / "k.key")


def test_a_day_s_key_survives_a_restart_and_not_its_day(tmp_path: Path) -> None:
    keys = DayKeys(tmp_path)
    today = keys.current(NOON)
    assert keys.current(NOON + DAY / 2 - 1) == DayKeys(tmp_path).current(NOON + 60) == today
    assert names(tmp_path) == ["day-2024-10-04.key"]
    tomorrow = keys.current(NOON + DAY / 2)
    assert tomorrow != today
    assert names(tmp_path) == ["day-2024-10-05.key"]


def test_time_that_runs_backwards_brings_no_key_back(tmp_path: Path) -> None:
    keys = DayKeys(tmp_path)
    today = keys.current(NOON)
    assert keys.current(NOON - DAY) == today
    assert names(tmp_path) == ["day-2024-10-04.key"]


def test_a_start_destroys_what_a_process_that_was_off_at_midnight_left(tmp_path: Path) -> None:
    DayKeys(tmp_path).current(NOON)
    (tmp_path / "day-2024-10-03.key.0123456789abcdef.new").write_bytes(b"torn")
    kept_key(tmp_path, "iphash.key")
    (tmp_path / "day-by-day.txt").write_bytes(b"not ours")
    DayKeys(tmp_path).current(NOON + 3 * DAY)
    assert names(tmp_path) == ["day-2024-10-07.key", "day-by-day.txt", "iphash.key"]
    DayKeys(tmp_path).destroy_past(NOON + 4 * DAY)
    assert names(tmp_path) == ["day-by-day.txt", "iphash.key"]
    DayKeys(tmp_path / "missing").destroy_past(NOON)


def test_a_collector_whose_clock_is_behind_leaves_the_others_key(tmp_path: Path) -> None:
    ahead = DayKeys(tmp_path).current(NOON + DAY)
    DayKeys(tmp_path).current(NOON)
    assert DayKeys(tmp_path).current(NOON + DAY) == ahead


def test_where_no_key_can_be_kept_there_is_one_in_memory_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    keys = DayKeys(tmp_path / "file" / "keys")
    with caplog.at_level(logging.ERROR):
        key = keys.current(NOON)
    assert len(key) == KEY_BYTES
    assert keys.current(NOON) == key
    assert "not on disk" in caplog.text
    assert key.hex() not in caplog.text
