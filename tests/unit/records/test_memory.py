"""Bounds of what lookups hold: numbers, bytes, and a set that never misses a member."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.records.bounded import Bounded
from tracker.records.keyset import KeySet
from tracker.records.pending import Pending
from tracker.tables import CATALOGUE


def test_what_was_not_used_for_longest_goes_first() -> None:
    held: Bounded[str, int] = Bounded(3, 1000)
    for number, key in enumerate("abc"):
        assert held.keep(key, number, 1) == []
    assert held.get("a") == 0
    assert held.look("b") == 1
    assert held.keep("d", 3, 1) == ["b"]
    assert list(held) == ["c", "a", "d"]


def test_bytes_are_bounded_also_when_a_value_grows_or_is_too_large_by_itself() -> None:
    held: Bounded[str, int] = Bounded(100, 10)
    held.keep("a", 1, 4)
    held.keep("b", 2, 4)
    assert held.keep("a", 3, 7) == ["b"]
    held.drop("a")
    assert held.keep("c", 4, 10) == []
    assert held.keep("d", 5, 11) == ["c", "d"]
    assert len(held) == 0


@given(members=st.sets(st.text(st.characters(), max_size=20), max_size=50))
def test_a_set_of_keys_misses_no_member(members: set[str]) -> None:
    keys = KeySet()
    for member in members:
        keys.add(member)
    assert all(map(keys.may_have, members))
    keys.clear()
    assert not any(map(keys.may_have, members))


def test_few_strangers_are_taken_for_members() -> None:
    keys = KeySet()
    for number in range(20_000):
        keys.add(f"member {number}")
    assert sum(keys.may_have(f"stranger {number}") for number in range(20_000)) < 20


def test_rows_of_which_the_store_has_an_older_version_stay_pending() -> None:
    pending = Pending(CATALOGUE["redirects"], "urlfrom", 10_000)
    early, late = ({"urlfrom": "a/1", "updated_at": f"2026-11-22 0{hour}:00:00.000Z"} for hour in (3, 4))
    pending.keep(late)
    pending.settle([early])
    assert len(pending) == 1
    pending.settle([late])
    assert len(pending) == 0
