"""Every kept input, seeds and what fuzzing found, keeps its parser's promise in bounded time and memory."""

import time
import tracemalloc
from pathlib import Path

import pytest

from tests.fuzz.parsers import PARSERS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(CORPUS.glob("*/*"))
MOST_SECONDS = 5.0
MOST_BYTES = 64 * 2**20


@pytest.mark.parametrize("parser", sorted(PARSERS))
def test_each_parser_has_a_corpus_and_keeps_its_promise_on_it(parser: str) -> None:
    inputs = [file for file in INPUTS if file.parent.name == parser]
    assert inputs, "an empty corpus shows nothing"
    PARSERS[parser](b"")
    for file in inputs:
        PARSERS[parser](file.read_bytes())


@pytest.mark.parametrize("parser", sorted(PARSERS))
def test_no_kept_input_takes_much_time_or_memory(parser: str) -> None:
    inputs = [file.read_bytes() for file in INPUTS if file.parent.name == parser]
    PARSERS[parser](b"")
    for data in inputs:
        started = time.process_time()
        tracemalloc.start()
        try:
            PARSERS[parser](data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < MOST_BYTES
        assert time.process_time() - started < MOST_SECONDS


def test_every_corpus_belongs_to_a_parser() -> None:
    assert {file.parent.name for file in INPUTS} == set(PARSERS)
