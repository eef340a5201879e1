"""The learner behind the adaptive strategy: how many rows a batch should have, from how writes went.

Pure: `learn(state, observation)` gives the next state. It climbs: a larger limit stays as long as rows per
second rise, and shrinks at once when a write took longer than its target. Only writes that reached the
limit say something about it; others change nothing.
"""

from dataclasses import dataclass, replace

FIRST_ROWS = 1_000
SAMPLES = 3
"""Writes at one limit before its pace is judged: one alone is noise."""
STEP = 1.5
"""Factor of one step up or down."""
GAIN = 1.03
"""A step was worth it when the pace rose by this factor."""
LOSS = 0.95
"""A step was a mistake when the pace fell below this factor."""
REST_SAMPLES = 30
"""Writes to rest on a level before trying a larger limit again: the store may have changed."""
HEADROOM = 0.9
"""A step up aims at this part of the target at most."""
DEEPEST_CUT = 0.5
"""One slow write takes away half at most: it may have been a hiccup."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One write that succeeded."""

    rows: int
    bytes: int
    seconds: float
    limit_was_reached: bool
    """The batch had as many rows as the strategy let it have."""


@dataclass(frozen=True, slots=True)
class Learned:
    """The limit now, its bounds, and what was seen since it last moved."""

    rows: int
    """The limit: always from `lowest` to `highest`."""
    lowest: int
    highest: int
    target_seconds: float
    before: float = 0.0
    """Rows per second at the limit before this one, 0 when nothing is known."""
    step_up: bool = True
    """Whether the last move, which this level judges, went up."""
    samples: int = 0
    seen_rows: int = 0
    seen_seconds: float = 0.0

    @classmethod
    def between(cls, lowest: int, highest: int, target_seconds: float) -> "Learned":
        """Where learning starts."""
        return cls(max(lowest, min(FIRST_ROWS, highest)), lowest, highest, target_seconds)

    @property
    def pace(self) -> float:
        """Rows per second at this limit, 0 before the first write."""
        return self.seen_rows / self.seen_seconds if self.seen_seconds > 0 else 0.0


def learn(state: Learned, seen: Observation) -> Learned:
    """The state after one more write."""
    if not seen.limit_was_reached or seen.seconds <= 0:
        return state
    if seen.seconds > state.target_seconds:
        return _shrink(state, seen)
    state = replace(
        state,
        samples=state.samples + 1,
        seen_rows=state.seen_rows + seen.rows,
        seen_seconds=state.seen_seconds + seen.seconds,
    )
    if state.samples == SAMPLES:
        return _judge(state)
    if state.samples >= REST_SAMPLES:
        return _move(state, up=True)
    return state


def _shrink(state: Learned, seen: Observation) -> Learned:
    """The target was missed: go to where it would have been met, not further than half."""
    factor = max(DEEPEST_CUT, HEADROOM * state.target_seconds / seen.seconds)
    return _at(state, int(state.rows * factor), before=0.0, step_up=False)


def _judge(state: Learned) -> Learned:
    """Enough was seen at this limit: go on, go back, or rest."""
    if not state.before:
        return _move(state, up=True)
    if state.pace > state.before * GAIN:
        return _move(state, up=state.step_up)
    if state.pace < state.before * LOSS:
        return _move(state, up=not state.step_up)
    return state


def _move(state: Learned, *, up: bool) -> Learned:
    if not up:
        return _at(state, int(state.rows / STEP), before=state.pace, step_up=False)
    mean_seconds = state.seen_seconds / state.samples
    factor = min(STEP, HEADROOM * state.target_seconds / mean_seconds)
    if factor <= 1:
        return replace(state, samples=SAMPLES + 1)
    return _at(state, int(state.rows * factor) + 1, before=state.pace, step_up=True)


def _at(state: Learned, rows: int, *, before: float, step_up: bool) -> Learned:
    rows = max(state.lowest, min(state.highest, rows))
    return Learned(rows, state.lowest, state.highest, state.target_seconds, before, step_up)
