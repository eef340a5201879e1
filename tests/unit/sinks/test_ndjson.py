"""A batch's bytes as lines, pieces, samples and files."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tracker.sinks import ndjson

LINES = st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=40)


@given(LINES)
def test_lines_joined_are_the_lines_again(some: list[bytes]) -> None:
    assert ndjson.lines(ndjson.joined(some)) == some


@given(LINES, st.integers(1, 200))
def test_pieces_are_whole_lines_and_together_the_data(some: list[bytes], most: int) -> None:
    data = ndjson.joined(some)
    found = list(ndjson.pieces(data, most))
    assert b"".join(found) == data
    assert all(piece.endswith(b"\n") for piece in found)
    assert all(len(piece) <= most or piece.count(b"\n") == 1 for piece in found)


@given(LINES, st.integers(1, 50))
def test_a_sample_has_lines_of_the_data_and_all_when_it_may(some: list[bytes], most: int) -> None:
    found = list(ndjson.sample(ndjson.joined(some), most))
    assert len(found) <= most
    assert set(found) <= set(some)
    if len(some) <= most:
        assert found == some


def test_a_long_line_is_seen_wherever_it_stands() -> None:
    short, long = b"x" * 100 + b"\n", b"x" * ndjson.COMMON_BYTES + b"\n"
    assert not ndjson.has_long_line(short * 50_000)
    for place in (0, 20_000, 50_000):
        assert ndjson.has_long_line(short * place + long + short * (50_000 - place))


def test_a_key_that_is_no_column_is_seen() -> None:
    names = {"a": 1, "b": 2}.keys()
    assert ndjson.has_other_keys(b'{"a":1,"c":2}', names)
    for line in (b'{"a":1,"b":2}', b"{}", b"[1]", b"{", b"\xff", b""):
        assert not ndjson.has_other_keys(line, names)


def test_a_file_handed_over_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with ndjson.handed_over(tmp_path, b"data") as file:
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"data", 0o600)
    assert list(tmp_path.iterdir()) == []
