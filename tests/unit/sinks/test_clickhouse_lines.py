"""Whole lines out of the pieces of an answer, however it was cut; an early end is never missed."""

from collections.abc import Sequence
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.sinks.clickhouse_engine import Unreachable
from tracker.sinks.clickhouse_lines import ArrayLines, Lines

ROWS = st.lists(
    st.dictionaries(st.sampled_from(["eid", "msg"]), st.text("}],[\n{\" a'")).map(orjson.dumps), max_size=6
)


def array_of(rows: Sequence[bytes]) -> bytes:
    """As ClickHouse writes it, an array without rows too."""
    return b"[\n" + b",\n".join(rows) + b"\n]\n"


def taken(lines: Lines, answer: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    found = [lines.take(answer[a:b]) for a, b in pairwise(places)]
    lines.end()
    return found


@given(rows=ROWS, cuts=st.lists(st.integers(0, 400), max_size=30))
def test_rows_come_as_whole_lines_however_the_answer_was_cut(rows: list[bytes], cuts: list[int]) -> None:
    found = taken(ArrayLines(), array_of(rows), cuts)
    assert b"".join(found) == b"".join(row + b"\n" for row in rows)
    assert all(lines.endswith(b"\n") for lines in found if lines)


@given(rows=ROWS, data=st.data())
def test_an_answer_that_ends_too_early_anywhere_is_not_taken_for_whole(
    rows: list[bytes], data: st.DataObject
) -> None:
    answer = array_of(rows)
    end = data.draw(st.integers(0, len(answer) - 1))
    with pytest.raises(Unreachable, match="the answer broke off"):
        taken(ArrayLines(), answer[:end], [])


@pytest.mark.parametrize(
    "answer",
    [
        b'[\n{"a":1},\n{"b":"Code: 241. DB::Exception: Memory limit (total) exceeded\n',
        b'[\n{"a":1}\n]\nCode: 241. DB::Exception: Memory limit (total) exceeded\n',
        b'[\n{"a":1}\n]\n[\n{"a":2}\n]\n',
        b'{"a":1}\n{"a":2}\n',
        b"<html>\nbad gateway\n]\n",
    ],
    ids=["an error inside", "an error behind", "another array", "no array", "a page"],
)
@pytest.mark.parametrize("cuts", [[], range(100)], ids=["in one", "in bytes"])
def test_anything_else_than_one_array_is_no_answer(answer: bytes, cuts: Sequence[int]) -> None:
    with pytest.raises(Unreachable, match="the answer broke off"):
        taken(ArrayLines(), answer, cuts)


def test_half_a_line_at_the_end_is_no_answer() -> None:
    with pytest.raises(Unreachable, match="the answer broke off"):
        taken(Lines(), b'{"a":1}\n{"a"', [])
