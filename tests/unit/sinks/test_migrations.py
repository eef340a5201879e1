"""Numbered SQL files: which are applied, and what is refused."""

from pathlib import Path

import pytest

from tracker.errors import ConfigError
from tracker.sinks.migrations import pending, read_migrations


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("SELECT 1;", encoding="utf-8")
    (tmp_path / "0002_second.sql").write_text("SELECT 2;", encoding="utf-8")
    (tmp_path / "notes.sql").write_text("not numbered", encoding="utf-8")
    return tmp_path


def test_files_are_found_in_their_order(folder: Path) -> None:
    assert [(found.number, found.name, found.sql) for found in read_migrations(folder)] == [
        (1, "0001_first.sql", "SELECT 1;"),
        (2, "0002_second.sql", "SELECT 2;"),
    ]


def test_only_what_was_not_applied_is_pending(folder: Path) -> None:
    found = read_migrations(folder)
    assert pending(found, {}) == found
    assert pending(found, {1: found[0].digest}) == found[1:]
    assert pending(found, {one.number: one.digest for one in found}) == ()


def test_a_changed_file_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"0001_first\.sql was changed"):
        pending(read_migrations(folder), {1: "another"})


def test_a_store_of_a_newer_version_is_refused(folder: Path) -> None:
    found = read_migrations(folder)
    with pytest.raises(ConfigError, match=r"0003.*newer version"):
        pending(found, {**{one.number: one.digest for one in found}, 3: "x"})


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_double.sql"])
def test_a_gap_or_a_double_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("SELECT 3;", encoding="utf-8")
    with pytest.raises(ConfigError, match="should have the number"):
        read_migrations(folder)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no numbered SQL file"):
        read_migrations(tmp_path / "none")
