"""Databases are told apart by what is in them, and what is none is named as what it is."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.places import SAMPLES, SEOUL, ZURICH, bin_file, real_mmdb
from tracker.events import Place
from tracker.geo.opening import READ_ERRORS, Unusable, open_database

GOOD = bin_file()
IPV4_ONLY = GOOD[:13] + bytes(8) + GOOD[21:]
"""Its head says that there are no rows for IPv6, and no place where they begin."""


def near(found: Place | None, wanted: Place) -> bool:
    """The same place; a BIN has coordinates of single precision."""
    assert found is not None
    assert (found.lat, found.lon) == pytest.approx((wanted.lat, wanted.lon), abs=1e-5)
    return found._replace(lat=0, lon=0) == wanted._replace(lat=0, lon=0)


def test_a_bin_answers_for_both_families_of_addresses_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "places.mmdb"
    file.write_bytes(GOOD)
    database = open_database(file)
    assert database.kind == "IP2Location DB11"
    assert near(database.find("195.186.255.255"), ZURICH)
    assert near(database.find("2001:1600::8"), ZURICH)
    assert near(database.find("1.208.0.0"), SEOUL)
    assert database.find("195.185.255.255") is None
    assert database.find("195.187.0.0") is None
    database.close()


def test_a_bin_of_one_family_knows_nothing_of_the_other(tmp_path: Path) -> None:
    file = tmp_path / "places.bin"
    file.write_bytes(bin_file({"195.186.0.0/16": ZURICH}))
    database = open_database(file)
    assert database.find("2001:1600::8") is None
    database.close()


def test_a_real_mmdb_answers_for_both_families_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "places.BIN"
    file.symlink_to(real_mmdb())
    database = open_database(file)
    assert database.kind.startswith("mmdb ")
    assert database.find("8.8.8.8") == Place("US")
    assert database.find("2001:4860:4860::8888") == Place("US")
    database.close()


def test_an_open_database_does_not_care_what_becomes_of_its_file(tmp_path: Path) -> None:
    for source in (GOOD, real_mmdb().read_bytes()):
        file = tmp_path / "places"
        file.write_bytes(source)
        database = open_database(file)
        before = database.find("195.186.1.1")
        with file.open("r+b") as same:
            same.truncate(10)
        assert database.find("195.186.1.1") == before != None  # noqa: E711 (all three at once)
        file.unlink()
        assert database.find("195.186.1.1") == before
        database.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "neither an IP2Location BIN nor an mmdb file"),
        (b"hello\n" * 100, "neither an IP2Location BIN nor an mmdb file"),
        (GOOD[:100], "cut short"),
        (IPV4_ONLY[:100], "cut short"),
        (b"PK\x03\x04" + GOOD, "a ZIP archive; unpack it"),
        (b"\x1f\x8b" + GOOD, "compressed by gzip; unpack it"),
        (b"x" * 50 + b"\xab\xcd\xefMaxMind.com" + b"\xff" * 20, "damaged"),
    ],
    ids=["empty", "text", "cut", "cut-ipv4", "zip", "gzip", "mark-only"],
)
def test_what_is_no_database_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "places.bin"
    file.write_bytes(content)
    with pytest.raises(Unusable, match=words) as caught:
        open_database(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        open_database(tmp_path / "none")
    with pytest.raises(Unusable, match="is no file"):
        open_database(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(1, 20), st.booleans())
def test_a_damaged_bin_is_refused_or_answers_in_its_own_errors(
    tmp_path: Path, seed: int, bytes_changed: int, is_in_head: bool
) -> None:
    chance = random.Random(seed)
    content = bytearray(GOOD)
    for _ in range(bytes_changed):
        content[chance.randrange(32 if is_in_head else len(content))] = chance.randrange(256)
    file = tmp_path / "places.bin"
    file.write_bytes(content)
    try:
        database = open_database(file)
    except Unusable:
        return
    for network in SAMPLES:
        try:
            database.find(network.partition("/")[0])
        except READ_ERRORS:
            continue
    database.close()
