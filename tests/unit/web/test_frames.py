import struct
import tracemalloc

import lz4.block  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import BadHit, TooLarge
from tracker.web.frames import unpack

LIMIT = 100_000


def test_the_published_vector_is_read() -> None:
    assert unpack(bytes.fromhex("0300000030616263"), LIMIT) == b"abc"


@given(st.binary(min_size=1, max_size=5000))
def test_what_was_packed_comes_out_again(data: bytes) -> None:
    assert unpack(lz4.block.compress(data), LIMIT) == data


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_bytes_or_a_bad_hit(frame: bytes) -> None:
    try:
        assert len(unpack(frame, LIMIT)) == struct.unpack("<I", frame[:4])[0]
    except BadHit as error:
        assert error.reason


@given(st.binary(min_size=1, max_size=2000), st.integers(0, 2**32 - 1))
def test_a_false_length_is_refused(data: bytes, declared: int) -> None:
    block = lz4.block.compress(data, store_size=False)
    if declared != len(data):
        with pytest.raises(BadHit):
            unpack(struct.pack("<I", declared) + block, LIMIT)


def test_two_gigabytes_are_refused_before_anything_is_allocated() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            unpack(struct.pack("<I", 0x7E000000) + b"0abc", LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_length_that_the_block_cannot_hold_is_refused_below_the_limit_too() -> None:
    with pytest.raises(BadHit, match="cannot hold"):
        unpack(struct.pack("<I", 60_000) + b"\x30abc", LIMIT)
