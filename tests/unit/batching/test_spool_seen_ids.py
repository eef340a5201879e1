"""The ring of remembered ids against a plain model."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from tests.support.spools import client_id
from tracker.batching.seen_ids import SeenIds


@given(
    capacity=st.integers(1, 20),
    start=st.integers(0, 50),
    groups=st.lists(st.lists(st.integers(0, 40), unique=True, max_size=30), max_size=30),
    forget=st.lists(st.integers(0, 5), max_size=30),
)
def test_it_knows_exactly_the_last_ids(
    capacity: int, start: int, groups: list[list[int]], forget: list[int]
) -> None:
    seen, model = SeenIds(capacity, start), OrderedDict[int, None]()
    for number, group in enumerate(groups):
        new = [n for n in group if n not in model]
        assert seen.known([client_id(n) for n in group]) == {client_id(n) for n in group if n in model}
        seen.add([client_id(n) for n in new])
        model.update(dict.fromkeys(new))
        if number < len(forget):
            seen.forget_before(seen.tail + forget[number], at_most=3)
        while len(model) > len(seen):
            model.popitem(last=False)
        assert len(seen) <= capacity
        assert [n for n in range(41) if client_id(n) in seen] == sorted(model)
