import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.adaptive import Learned, Observation, learn

Store = Callable[[int], float]


def store(fixed_seconds: float, seconds_per_row: float, noise: float = 0.0) -> Store:
    dice = random.Random(7)  # a simulation, no secret
    return lambda rows: (fixed_seconds + seconds_per_row * rows) * (1 + noise * dice.uniform(-1, 1))


def run(state: Learned, store: Store, writes: int) -> Learned:
    for _ in range(writes):
        seconds = store(state.rows)
        state = learn(state, Observation(state.rows, state.rows * 900, seconds, limit_was_reached=True))
    return state


def pace(store: Store, rows: int) -> float:
    return rows / store(rows)


START = Learned.between(100, 100_000, 1.0)


@pytest.mark.parametrize(("fixed", "per_row"), [(0.02, 1e-5), (0.2, 1e-5), (0.005, 2e-6), (0.05, 1e-4)])
def test_the_limit_climbs_to_nearly_the_best_pace_within_the_target(fixed: float, per_row: float) -> None:
    there = store(fixed, per_row)
    end = run(START, there, 200)
    best_rows = min(100_000, int((1.0 - fixed) / per_row))
    assert there(end.rows) <= 1.0
    assert pace(there, end.rows) >= 0.85 * pace(there, best_rows)


def test_it_climbs_with_a_noisy_store_too() -> None:
    there = store(0.02, 1e-5, noise=0.15)
    end = run(START, there, 300)
    assert pace(store(0.02, 1e-5), end.rows) >= 0.8 * pace(store(0.02, 1e-5), 98_000)


def test_a_store_that_became_slow_shrinks_the_limit_until_the_target_is_met_again() -> None:
    fast, slow = store(0.02, 1e-5), store(0.02, 1e-3)
    high = run(START, fast, 200)
    assert slow(high.rows) > 10
    low = run(high, slow, 12)
    assert slow(low.rows) <= 1.0
    assert slow(run(low, slow, 100).rows) <= 1.0


def test_a_store_that_recovered_gets_large_batches_again() -> None:
    fast, slow = store(0.02, 1e-5), store(0.02, 1e-3)
    low = run(run(START, fast, 200), slow, 50)
    again = run(low, fast, 400)
    assert pace(fast, again.rows) >= 0.8 * pace(fast, 98_000)


def test_a_store_that_slows_down_with_size_is_not_fed_ever_larger_batches() -> None:
    def quadratic(rows: int) -> float:
        return 0.01 + 1e-5 * rows + 1e-9 * rows * rows

    end = run(START, quadratic, 300)
    best = max(pace(quadratic, rows) for rows in range(100, 100_000, 100))
    assert pace(quadratic, end.rows) >= 0.8 * best


def test_one_hiccup_takes_half_at_most() -> None:
    state = replace(START, rows=10_000)
    assert learn(state, Observation(10_000, 1, 3600.0, limit_was_reached=True)).rows == 5_000


def test_batches_that_did_not_reach_the_limit_teach_nothing() -> None:
    assert learn(START, Observation(10, 1, 50.0, limit_was_reached=False)) == START


@given(
    st.integers(1, 1000),
    st.integers(1, 100_000),
    st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), max_size=200),
)
def test_the_limit_stays_inside_its_bounds(lowest: int, more: int, seen: list[tuple[float, bool]]) -> None:
    state = Learned.between(lowest, lowest + more, 1.0)
    for seconds, reached in seen:
        state = learn(state, Observation(state.rows, 1, seconds, reached))
        assert lowest <= state.rows <= lowest + more
