import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tracker.batching.breaker import Breaker, BreakerSettings, BreakerState

SETTINGS = BreakerSettings(failures=5, open_seconds=30.0, longest_seconds=120.0)


def opened(breaker: Breaker, now: float = 0.0) -> Breaker:
    for _ in range(SETTINGS.failures):
        breaker = breaker.failed(breaker.generation, now, 0.5)
    return breaker


def test_it_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(4):
        breaker = breaker.failed(breaker.generation, 0.0, 0.5)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.failed(breaker.generation, 0.0, 0.5).state is BreakerState.OPEN


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(20):
        breaker = breaker.failed(breaker.generation, 0.0, 0.5).succeeded(breaker.generation)
    assert breaker.state is BreakerState.CLOSED


def test_it_lets_one_probe_through_after_thirty_seconds_and_closes_when_it_succeeds() -> None:
    breaker = opened(Breaker(SETTINGS))
    assert breaker.permits_in(29.0) == pytest.approx(1.0)
    probing = breaker.admitted(30.0)
    assert probing.state is BreakerState.HALF_OPEN
    assert probing.permits_in(1e9) is None
    with pytest.raises(ValueError, match="half-open"):
        probing.admitted(31.0)
    assert probing.succeeded(probing.generation).permits_in(31.0) == 0


def test_each_failed_probe_doubles_the_time_it_stays_open_up_to_a_bound() -> None:
    breaker, now, spans = opened(Breaker(SETTINGS)), 0.0, []
    for _ in range(5):
        span = breaker.permits_in(now)
        assert span is not None
        spans.append(span)
        now += span
        probing = breaker.admitted(now)
        breaker = probing.failed(probing.generation, now, 0.5)
    assert spans == pytest.approx([30.0, 60.0, 120.0, 120.0, 120.0])


def test_the_time_it_stays_open_is_jittered() -> None:
    closed = Breaker(BreakerSettings(failures=1))
    assert closed.failed(0, 0.0, 0.0).open_until == pytest.approx(0.75)
    assert closed.failed(0, 0.0, 1.0).open_until == pytest.approx(1.25)


def test_a_store_that_blinks_is_asked_again_after_a_second_and_one_that_stays_away_each_half_minute() -> None:
    breaker, now, spans = opened(Breaker()), 0.0, list[float]()
    while len(spans) < 7:
        spans.append(breaker.permits_in(now) or 0.0)
        now = breaker.open_until
        probing = breaker.admitted(now)
        breaker = probing.failed(probing.generation, now, 0.5)
    assert spans == pytest.approx([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0])


def test_a_probe_that_said_nothing_gives_its_turn_back_at_once() -> None:
    probing = opened(Breaker(SETTINGS)).admitted(30.0)
    back = probing.abandoned(probing.generation, 31.0)
    assert back.state is BreakerState.OPEN
    assert back.permits_in(31.0) == 0
    assert back.admitted(31.0).state is BreakerState.HALF_OPEN


def test_results_of_writes_from_before_it_opened_count_nothing() -> None:
    early = Breaker(SETTINGS)
    probing = opened(early).admitted(30.0)
    assert probing.failed(early.generation, 30.0, 0.5) == probing
    assert probing.succeeded(early.generation) == probing


class BreakerMachine(RuleBasedStateMachine):
    """Any order of writes, results, late results and time: one probe at most, and never stuck."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(SETTINGS)
        self.under_way: list[tuple[int, bool]] = []

    @property
    def probes(self) -> int:
        return sum(is_probe and permit == self.breaker.generation for permit, is_probe in self.under_way)

    @rule(seconds=st.floats(0, 200))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.permits_in(self.now) == 0)
    @rule()
    def a_write_starts(self) -> None:
        is_probe = self.breaker.state is BreakerState.OPEN
        self.breaker = self.breaker.admitted(self.now)
        self.under_way.append((self.breaker.generation, is_probe))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100), jitter=st.floats(0, 1))
    def a_write_fails(self, which: int, jitter: float) -> None:
        permit, is_probe = self.under_way.pop(which % len(self.under_way))
        was_current = permit == self.breaker.generation
        self.breaker = self.breaker.failed(permit, self.now, jitter)
        if is_probe and was_current:
            assert self.breaker.state is BreakerState.OPEN

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100))
    def a_write_succeeds(self, which: int) -> None:
        permit, _ = self.under_way.pop(which % len(self.under_way))
        was_current = permit == self.breaker.generation
        self.breaker = self.breaker.succeeded(permit)
        if was_current:
            assert self.breaker.state is BreakerState.CLOSED

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100))
    def a_write_ends_without_a_verdict(self, which: int) -> None:
        permit, _ = self.under_way.pop(which % len(self.under_way))
        self.breaker = self.breaker.abandoned(permit, self.now)

    @invariant()
    def there_is_one_probe_exactly_while_it_is_half_open(self) -> None:
        assert self.probes == (1 if self.breaker.state is BreakerState.HALF_OPEN else 0)

    @invariant()
    def it_opens_again_within_its_bound(self) -> None:
        wait = self.breaker.permits_in(self.now)
        assert wait is None or 0 <= wait <= SETTINGS.longest_seconds + 1e-6  # sums of floats round

    @invariant()
    def closed_means_fewer_failures_than_open_it(self) -> None:
        assert self.breaker.failures < SETTINGS.failures


TestBreakerMachine = BreakerMachine.TestCase
