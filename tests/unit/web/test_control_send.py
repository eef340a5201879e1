"""Lines of JSON from a trusted caller: split as they come, stored chunk by chunk, refused by number."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import BadHit, CannotStore, TooLarge
from tracker.events import Entry, Identity, Row
from tracker.pipeline import Prepared
from tracker.web.control_send import MAX_REASONS, LineSplitter, Receiver, Tally


class Recorder:
    """Keeps what was stored; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.groups: list[list[Any]] = []

    def prepare_record(self, kind: str, values: Mapping[str, Any], now: float) -> Prepared:
        if "bad" in values:
            raise BadHit(f"{kind} is bad")
        return Prepared(Identity("", "", "", False), Entry((Row("logs", b"%d" % values["n"]),)), ())

    async def store(self, prepared: Sequence[Prepared], route: str) -> None:
        if self.failures:
            self.failures -= 1
            raise CannotStore("the spool is full", 1)
        self.groups.append([int(one.entry.rows[0].line) for one in prepared])


async def received(
    *chunks: bytes,
    recorder: Recorder | None = None,
    patience_seconds: float = 10.0,
    max_line_bytes: int = 100,
) -> tuple[Tally, Recorder]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    recorder, tally = recorder or Recorder(), Tally()
    receiver = Receiver(recorder, "log", max_line_bytes, 10, lambda: 0.0, patience_seconds)
    await receiver.receive(stream(), tally)
    return tally, recorder


def split(max_line_bytes: int, *chunks: bytes) -> list[bytes | None]:
    splitter = LineSplitter(max_line_bytes)
    out = [line for chunk in chunks for line in splitter.feed(chunk)] + list(splitter.finish())
    return [None if isinstance(line, TooLarge) else line[1] for line in out]


async def test_lines_are_stored_chunk_by_chunk_across_chunk_borders() -> None:
    tally, recorder = await received(b'{"n": 1}\n{"n"', b": 2}\n", b'\n{"n": 3}')
    assert recorder.groups == [[1], [2], [3]]
    assert (tally.accepted, tally.rejected, tally.stored_through) == (3, 0, 4)


async def test_a_bad_line_is_named_by_its_number_and_its_neighbours_are_stored() -> None:
    tally, recorder = await received(b'{"n": 1}\n\nno json\n[1]\n{"bad": 1}\n{"n": 2}\n')
    assert recorder.groups == [[1, 2]]
    assert [one["line"] for one in tally.reasons] == [3, 4, 5]
    assert tally.reasons[1]["reason"] == "a line must hold a JSON object"
    assert tally.reasons[2]["reason"] == "log is bad"


async def test_an_overlong_line_is_refused_without_being_kept() -> None:
    tally, recorder = await received(b'{"n": 1}\n', b"x" * 80, b"x" * 80, b'\n{"n": 2}\n')
    assert recorder.groups == [[1], [2]]
    assert tally.reasons == [{"line": 2, "reason": "the line has more than 100 bytes"}]


async def test_reasons_are_bounded_but_all_lines_are_counted() -> None:
    tally, _ = await received(b"x\n" * (MAX_REASONS + 5))
    assert (tally.rejected, len(tally.reasons)) == (MAX_REASONS + 5, MAX_REASONS)


async def test_a_short_trouble_of_the_spool_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    tally, recorder = await received(b'{"n": 1}\n', recorder=Recorder(failures=2))
    assert (tally.accepted, recorder.groups, pauses) == (1, [[1]], [1, 1])


async def test_a_long_trouble_tells_how_far_it_came() -> None:
    tally = Tally()
    recorder = Recorder()

    async def stream() -> AsyncIterator[bytes]:
        yield b'{"n": 1}\nno\n'
        recorder.failures = 1
        yield b'{"n": 2}\n'

    with pytest.raises(CannotStore):
        await Receiver(recorder, "log", 100, 10, lambda: 0.0, patience_seconds=0.0).receive(stream(), tally)
    assert (tally.accepted, tally.rejected, tally.stored_through) == (1, 1, 2)


@given(st.lists(st.binary(max_size=20)), st.integers(0, 30))
def test_splitting_is_the_same_however_the_bytes_arrive(chunks: list[bytes], max_line_bytes: int) -> None:
    assert split(max_line_bytes, *chunks) == split(max_line_bytes, b"".join(chunks))


@given(st.binary(max_size=200))
def test_lines_within_the_bound_come_out_whole(data: bytes) -> None:
    lines = data.split(b"\n")
    assert split(200, data) == (lines if lines[-1] else lines[:-1])
