"""How far pruning came, written into a configuration file that stays as it was otherwise."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.commands.prune_note import KEY, note_done_before, with_number
from tracker.errors import TrackerError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just(KEY), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"a": 1}', f'{{"{KEY}": 7, "a": 1}}'.replace("7, ", "7,")),
        ("{}", f'{{"{KEY}": 7}}'),
        ('{\n  "a": 1\n}\n', f'{{\n  "{KEY}": 7,\n  "a": 1\n}}\n'),
        (f'{{"{KEY}" : 12 , "b":2}}', f'{{"{KEY}" : 7 , "b":2}}'),
        (f'{{"x": {{"{KEY}": 1}}, "{KEY}":-5}}', f'{{"x": {{"{KEY}": 1}}, "{KEY}":7}}'),
        (f'{{"x": ["{KEY}", "{KEY}: 3"], "{KEY}":0}}', f'{{"x": ["{KEY}", "{KEY}: 3"], "{KEY}":7}}'),
    ],
    ids=["first", "empty", "lines", "there", "deeper", "in text"],
)
def test_only_the_number_changes(before: str, after: str) -> None:
    assert with_number(before, 7) == after
    assert json.loads(after)[KEY] == 7


@given(st.dictionaries(st.text(), JSON, max_size=4), st.integers(0, 2**40), st.sampled_from((None, 1, "\t")))
def test_every_other_key_keeps_its_value_and_place(
    data: dict[str, object], number: int, indent: int | str | None
) -> None:
    data.pop(KEY, None)
    before = json.dumps(data, indent=indent)
    after = with_number(before, number)
    assert json.loads(after) == {KEY: number, **data}
    assert list(json.loads(after))[1:] == list(data)
    again = with_number(after, number + 1)
    assert again == after.replace(f'"{KEY}": {number}', f'"{KEY}": {number + 1}', 1)


def test_the_file_keeps_its_mode_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text('{"a": "ü"}', encoding="utf-8")
    real.chmod(0o640)
    link = tmp_path / "config.json"
    link.symlink_to(real)
    note_done_before(link, 9)
    assert json.loads(real.read_text(encoding="utf-8")) == {KEY: 9, "a": "ü"}
    assert (real.stat().st_mode & 0o777, link.is_symlink()) == (0o640, True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "real.json"]


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match="pruned, but PruneSkipToTimestamp cannot be noted"):
        note_done_before(tmp_path / "gone.json", 9)
