"""The file as JSON with line numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.config.document import _places, read
from tracker.errors import ConfigError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def test_each_key_and_item_knows_its_line(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{\n "a": {"b": 1,\n  "c\\n": [1,\n   {"d": "x}"}]},\n "e": []\n}')
    assert read(file).lines == {
        ("a",): 2,
        ("a", "b"): 2,
        ("a", "c\n"): 3,
        ("a", "c\n", 0): 3,
        ("a", "c\n", 1): 4,
        ("a", "c\n", 1, "d"): 4,
        ("e",): 5,
    }


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_exactly_the_places_of_the_document_are_found(data: dict[str, object]) -> None:
    def walk(value: Any, place: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
        listed = enumerate(value) if isinstance(value, list) else ()
        items = value.items() if isinstance(value, dict) else listed
        return [found for part, item in items for found in [(*place, part), *walk(item, (*place, part))]]

    assert [place for place, _ in _places(json.dumps(data, indent=1))] == walk(data, ())


def test_a_key_that_stands_twice_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"a": {"b": 1, "b": 1}, "c": {"b": 1}}')
    assert read(file).repeated == (("a", "b"),)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read(file).data == {"a": 1}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{\n "a": 1,\n}', r"c\.json:3:1: not JSON: .*property name"),
        (b"", r"c\.json:1:1: not JSON"),
        (b"[]", r"expected an object"),
        (b'{"a": "\xff"}', r"not UTF-8 text \(byte 7\)"),
        (b"[" * 100_000, r"nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", r"too many digits"),
        (b" " * (4 * 2**20 + 1), r"no configuration file"),
    ],
)
def test_a_file_that_is_no_json_object_says_where(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        read(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json: no such file"):
        read(tmp_path / "nowhere.json")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "a\0b")
