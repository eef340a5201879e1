from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.adaptive import Observation
from tracker.batching.contract import Waiting
from tracker.batching.strategies import GROUP_ROWS, MEBIBYTE, STRATEGIES, BatchSettings, Plan, strategy

SETTINGS = BatchSettings(
    max_batch_size=100,
    max_batch_time_seconds=2.0,
    max_memory_mb=1.0,
    max_age_seconds=30.0,
    target_latency_seconds=1.0,
)
CAP = 8 * MEBIBYTE
NOW = 1_000_000.0

names = st.sampled_from(sorted(STRATEGIES))
rows = st.integers(1, 300)
sizes = st.integers(1, 3 * MEBIBYTE)
ages = st.floats(0, 100)


def plan(name: str, cap: int = CAP) -> Plan:
    return strategy(name, SETTINGS, cap)


def waiting(rows: int = 1, size: int = 100, age: float = 0.0) -> Waiting:
    return Waiting(rows, size, NOW - age)


def due_times(plan: Plan, arrivals: list[tuple[float, int]]) -> Iterator[float]:
    """How long the oldest row of each batch waited, on a clock that jumps to what happens next."""
    state: Waiting | None = None
    todo = sorted(arrivals)
    now = 0.0
    while todo or state:
        due_in = plan.due_in(state, now) if state else None
        if state and due_in is not None and (not todo or now + due_in <= todo[0][0]):
            yield now + due_in - state.oldest_at
            now, state = now + due_in, None
            continue
        now, size = todo.pop(0)
        state = replace(state or Waiting(0, 0, now), rows=(state.rows if state else 0) + 1)
        state = replace(state, bytes=state.bytes + size)


def test_immediate_is_due_at_once_and_takes_a_whole_commit_group() -> None:
    assert plan("immediate").due_in(waiting(), NOW) == 0
    assert plan("immediate").cut_rows == GROUP_ROWS


def test_time_counts_from_the_oldest_row() -> None:
    assert plan("time").due_in(waiting(age=0.5), NOW) == pytest.approx(1.5)
    assert plan("time").due_in(waiting(rows=100_000, age=0.5), NOW) == pytest.approx(1.5)
    assert plan("time").due_in(waiting(age=7), NOW) == 0


def test_size_is_due_with_a_full_batch() -> None:
    assert plan("size").due_in(waiting(rows=100), NOW) == 0
    assert plan("size").due_in(waiting(rows=99, age=10), NOW) == pytest.approx(20)


def test_hybrid_is_due_by_rows_or_bytes_or_time() -> None:
    hybrid = plan("hybrid")
    assert hybrid.due_in(waiting(), NOW) == pytest.approx(2.0)
    assert hybrid.due_in(waiting(rows=100), NOW) == 0
    assert hybrid.due_in(waiting(size=MEBIBYTE), NOW) == 0
    assert hybrid.due_in(waiting(age=2.0), NOW) == 0


def test_memory_is_due_by_bytes_or_age() -> None:
    assert plan("memory").due_in(waiting(rows=99_999), NOW) == pytest.approx(30)
    assert plan("memory").due_in(waiting(size=MEBIBYTE), NOW) == 0


def test_a_full_batch_under_the_global_bound_does_not_wait_for_more_bytes() -> None:
    small = strategy("memory", replace(SETTINGS, max_memory_mb=100), 2 * MEBIBYTE)
    assert small.cut_bytes == 2 * MEBIBYTE
    assert small.due_in(waiting(size=2 * MEBIBYTE), NOW) == 0


def test_a_clock_that_went_back_does_not_put_a_batch_off_beyond_its_bound() -> None:
    assert plan("time").due_in(waiting(age=-86_400), NOW) == 2.0


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"'hybird'.*hybrid"):
        strategy("hybird", SETTINGS, CAP)


def test_adaptive_takes_its_limit_from_what_it_learned_and_others_learn_nothing() -> None:
    settings = replace(SETTINGS, max_batch_size=50_000)
    before = strategy("adaptive", settings, CAP)
    after = before.after(Observation(before.cut_rows, 1, 10.0, limit_was_reached=True))
    assert after.cut_rows < before.cut_rows
    for name in sorted(STRATEGIES.keys() - {"adaptive"}):
        assert plan(name).after(Observation(100, 1, 10.0, limit_was_reached=True)) == plan(name)


@given(names, rows, sizes, ages)
def test_no_batch_is_due_later_than_its_age_bound(name: str, count: int, size: int, age: float) -> None:
    due_in = plan(name).due_in(waiting(count, size, age), NOW)
    assert due_in is not None
    assert 0 <= due_in <= max(0.0, plan(name).seconds - age) + 1e-6


@given(names, rows, rows, sizes, sizes, ages, ages)
def test_more_rows_more_bytes_or_more_age_is_never_due_later(
    name: str, count: int, more: int, size: int, bigger: int, age: float, older: float
) -> None:
    now = plan(name).due_in(waiting(count, size, age), NOW)
    later = plan(name).due_in(waiting(count + more, size + bigger, age + older), NOW)
    assert now is not None
    assert later is not None
    assert later <= now


@given(names, st.integers(1, 3 * MEBIBYTE))
def test_no_batch_may_have_more_bytes_than_the_global_bound(name: str, cap: int) -> None:
    assert 1 <= plan(name, cap).cut_bytes <= cap


@given(names, st.lists(st.tuples(st.floats(0, 200), st.integers(1, MEBIBYTE)), min_size=1, max_size=60))
def test_on_a_virtual_clock_every_row_leaves_within_the_bound(
    name: str, arrivals: list[tuple[float, int]]
) -> None:
    waits = list(due_times(plan(name), arrivals))
    assert waits
    assert max(waits) <= plan(name).seconds + 1e-6


def test_a_quiet_table_is_never_stuck() -> None:
    for name in STRATEGIES:
        assert list(due_times(plan(name), [(0.0, 10)])) == [pytest.approx(plan(name).seconds)]
