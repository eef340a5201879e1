"""Answers as aligned tables, CSV and JSON."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from tracker.commands.render import as_csv, as_json, as_table

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def test_a_table_aligns_text_left_and_numbers_right() -> None:
    assert as_table(["ename", "n"], [["view", 7], ["buy", 1200]]).split("\n") == [
        "ename | n",
        "------+-----",
        "view  |    7",
        "buy   | 1200",
        "(2 rows)",
    ]


def test_an_empty_answer_still_shows_its_columns() -> None:
    assert as_table(["a", "b"], []).split("\n") == ["a | b", "--+--", "(0 rows)"]


def test_null_and_nested_values_are_told_apart_from_text() -> None:
    lines = as_table(["p"], [[None], [{"a": [1]}], ["x"]]).split("\n")
    assert lines[2:] == ["NULL", '{"a": [1]}', "x", "(3 rows)"]


def test_what_strangers_sent_cannot_steer_the_terminal() -> None:
    shown = as_table(["url"], [["a\x1b[31mred\r\n\u202eb"]])
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "\u202e" not in shown
    assert r"a\x1b[31mred\r\n\u202eb" in shown


def test_wide_characters_keep_the_columns_aligned() -> None:
    lines = as_table(["city", "n"], [["東京", 1], ["Rome", 2]]).split("\n")
    assert lines[2:4] == ["東京 | 1", "Rome | 2"]


def test_a_long_cell_is_cut_in_a_table_and_whole_in_csv() -> None:
    assert "…" in as_table(["p"], [["x" * 500]])
    assert "x" * 500 in as_csv(["p"], [["x" * 500]])


def test_two_columns_of_one_name_both_reach_the_json() -> None:
    assert json.loads(as_json(["a", "a", "a_2"], [[1, 2, 3]])) == [{"a": 1, "a_2": 2, "a_2_2": 3}]


def test_json_of_nothing_is_an_empty_array() -> None:
    assert as_json(["a"], []) == "[]"


@given(st.lists(st.tuples(st.text(), VALUES), max_size=5))
def test_json_comes_back_equal(rows: list[tuple[object, ...]]) -> None:
    assert json.loads(as_json(["a", "b"], rows)) == [dict(zip("ab", row, strict=True)) for row in rows]


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\r\0")), st.integers()), max_size=5))
def test_csv_is_read_back_by_a_csv_reader(rows: list[tuple[str, int]]) -> None:
    header, *told = csv.reader(io.StringIO(as_csv(["a", "b"], rows), newline=""))
    assert header == ["a", "b"]
    assert told == [[text, str(number)] for text, number in rows]


@given(st.lists(st.tuples(VALUES, VALUES), max_size=5))
def test_a_table_always_has_one_line_for_each_row(rows: list[tuple[object, ...]]) -> None:
    assert len(as_table(["a", "b"], rows).split("\n")) == len(rows) + 3
