import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.retry import RetrySettings, delay_seconds

SETTINGS = RetrySettings(base_seconds=0.1, cap_seconds=30.0, longest_wish_seconds=300.0)
jitters = st.floats(0, 1)


@given(st.integers(0, 10**9), jitters)
def test_a_delay_is_bounded_however_often_it_failed(attempt: int, jitter: float) -> None:
    assert 0 <= delay_seconds(attempt, jitter, SETTINGS) <= 30.0


def test_the_bound_doubles_with_each_failure_up_to_the_cap() -> None:
    bounds = [delay_seconds(attempt, 1.0, SETTINGS) for attempt in range(11)]
    assert bounds[:4] == [0.1, 0.2, 0.4, 0.8]
    assert bounds[-1] == 30.0


def test_the_jitter_is_full() -> None:
    assert delay_seconds(5, 0.0, SETTINGS) == 0.0
    assert delay_seconds(5, 0.5, SETTINGS) == pytest.approx(delay_seconds(5, 1.0, SETTINGS) / 2)


@given(st.integers(0, 100), jitters, st.floats(0, 300))
def test_a_sinks_wish_is_honoured(attempt: int, jitter: float, wish: float) -> None:
    assert delay_seconds(attempt, jitter, SETTINGS, wish) >= wish


def test_a_sink_cannot_wish_for_ever() -> None:
    assert delay_seconds(0, 0.0, SETTINGS, 1e9) == 300.0
