from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.rejections import WINDOW_ROWS, Rejections


def test_a_few_bad_rows_may_be_put_aside() -> None:
    assert Rejections().objection(10_000, range(0, 500 * 20, 20)) is None
    assert Rejections().objection(50, range(50)) is None


def test_more_than_five_percent_and_at_least_a_hundred_are_too_many() -> None:
    assert Rejections().objection(10_000, range(0, 501 * 3, 3)) is not None
    assert Rejections().objection(99, range(99)) is None
    assert Rejections().objection(100, range(100)) is not None


def test_rejections_of_many_small_batches_add_up() -> None:
    memory = Rejections()
    for _ in range(99):
        assert memory.objection(1, [0]) is None
        memory = memory.after_rejected(1)
    assert memory.objection(1, [0]) == "100 of the last 100 rows were rejected"


def test_a_thousand_in_a_row_are_too_many_even_in_a_huge_batch() -> None:
    assert Rejections().objection(100_000, range(5, 1004)) is None
    assert Rejections().objection(100_000, range(5, 1005)) == "1000 rows in a row were rejected"


def test_a_run_goes_on_from_one_batch_into_the_next() -> None:
    memory = Rejections().after_taken(30_000).after_rejected(400)
    assert memory.objection(100_000, range(600)) is not None
    assert memory.objection(100_000, range(1, 601)) is None
    assert memory.after_taken(1).objection(100_000, range(600)) is None


def test_old_rows_are_forgotten_behind_the_window() -> None:
    memory = Rejections().after_rejected(90)
    for _ in range(WINDOW_ROWS // 100 + 1):
        memory = memory.after_taken(100)
    assert memory.objection(20, range(20)) is None
    assert memory.forgotten() == Rejections()


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=400))
def test_the_memory_stays_small_and_knows_the_last_rows(happened: list[tuple[int, bool]]) -> None:
    memory = Rejections()
    for rows, was_taken in happened:
        memory = memory.after_taken(rows) if was_taken else memory.after_rejected(rows)
    seen = sum(rows for rows, _ in happened)
    assert len(memory.groups) <= 202
    assert sum(rows for rows, _ in memory.groups) >= min(seen, WINDOW_ROWS)
