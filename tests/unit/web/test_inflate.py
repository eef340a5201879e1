import gzip
import zlib
from collections.abc import Callable

import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import BadHit, TooLarge
from tracker.web.inflate import UnknownEncoding, decode_body

LIMIT = 1_000_000


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}
ENCODINGS = st.sampled_from(sorted(PACKERS))


@given(ENCODINGS, st.binary(max_size=5000))
def test_what_was_packed_comes_out_again(name: str, data: bytes) -> None:
    assert decode_body(PACKERS[name](data), name, LIMIT) == data


@given(st.binary(max_size=5000))
def test_raw_deflate_is_understood(data: bytes) -> None:
    assert decode_body(raw_deflate(data), "deflate", LIMIT) == data


@given(ENCODINGS, st.binary(max_size=2000))
def test_arbitrary_bytes_are_bytes_or_a_bad_hit(name: str, data: bytes) -> None:
    try:
        assert isinstance(decode_body(data, name, 10_000), bytes)
    except BadHit as error:
        assert error.reason


@given(ENCODINGS, st.binary(min_size=1, max_size=300), st.data())
def test_a_damaged_stream_is_bytes_or_a_bad_hit(name: str, data: bytes, draw: st.DataObject) -> None:
    packed = bytearray(PACKERS[name](data))
    packed[draw.draw(st.integers(0, len(packed) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        decode_body(bytes(packed), name, 10_000)
    except BadHit as error:
        assert error.reason


@given(ENCODINGS, st.binary(min_size=10, max_size=3000), st.data())
def test_a_cut_stream_is_refused(name: str, data: bytes, draw: st.DataObject) -> None:
    packed = PACKERS[name](data)
    cut = packed[: draw.draw(st.integers(1, len(packed) - 1))]
    with pytest.raises(BadHit):
        decode_body(cut, name, LIMIT)


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_several_members_are_one_body(name: str) -> None:
    pack = PACKERS[name]
    assert decode_body(pack(b"one ") + pack(b"") + pack(b"two"), name, LIMIT) == b"one two"


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_large_bodies_pass_through_in_pieces(name: str) -> None:
    data = bytes(range(256)) * 3000
    assert decode_body(PACKERS[name](data), name, len(data)) == data
    with pytest.raises(TooLarge):
        decode_body(PACKERS[name](data), name, len(data) - 1)


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_a_bomb_is_stopped_at_the_limit(name: str) -> None:
    bomb = PACKERS[name](b"\0" * 50_000_000)
    with pytest.raises(TooLarge):
        decode_body(bomb, name, LIMIT)


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_members_without_end_are_refused(name: str) -> None:
    with pytest.raises(TooLarge):
        decode_body(PACKERS[name](b"") * 2000, name, LIMIT)


@pytest.mark.parametrize("name", sorted(PACKERS))
def test_trailing_garbage_is_refused(name: str) -> None:
    with pytest.raises(BadHit):
        decode_body(PACKERS[name](b"abc") + b"garbage", name, LIMIT)


def test_encodings_are_undone_from_the_last_to_the_first() -> None:
    body = zstandard.compress(gzip.compress(b"x"))
    assert decode_body(body, " GZIP , identity, zstd ", LIMIT) == b"x"


@pytest.mark.parametrize("name", ["br", "compress", "gzip, br", "gzip, gzip, gzip, gzip", "\u2603"])
def test_unknown_encodings_say_what_is_known(name: str) -> None:
    with pytest.raises(UnknownEncoding):
        decode_body(b"x", name, LIMIT)
