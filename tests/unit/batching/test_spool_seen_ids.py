"""The ring of remembered ids against a plain model."""

from collections import OrderedDict
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.spools import NOW, client_id, entry, open_spool
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


@given(
    capacity=st.integers(1, 20),
    start=st.integers(0, 50),
    before=st.lists(st.lists(st.integers(0, 40), unique=True, max_size=12), max_size=3),
    groups=st.lists(st.lists(st.integers(0, 40), unique=True, max_size=30), max_size=10),
    places=st.lists(st.integers(0, 5), min_size=10, max_size=10),
)
def test_ids_that_were_filled_in_are_known_before_they_have_their_place(
    capacity: int, start: int, before: list[list[int]], groups: list[list[int]], places: list[int]
) -> None:
    seen, model = SeenIds(capacity, start), OrderedDict[int, None]()
    for group in before:
        new = [n for n in group if n not in model]
        seen.fill(b"".join(client_id(n) for n in new))
        model.update(dict.fromkeys(new))
    while len(model) > len(seen):
        model.popitem(last=False)
    for group, at_most in zip(groups, places, strict=False):
        assert seen.known([client_id(n) for n in group]) == {client_id(n) for n in group if n in model}
        new = [n for n in group if n not in model]
        seen.add([client_id(n) for n in new])
        seen.find_places(at_most)
        model.update(dict.fromkeys(new))
        while len(model) > len(seen):
            model.popitem(last=False)
        assert [n for n in range(41) if client_id(n) in seen] == sorted(model)
    seen.find_places(100)
    assert seen.unfound == 0
    assert seen.known([client_id(n) for n in range(41)]) == {client_id(n) for n in model}


def test_rows_of_few_ids_are_joined_and_no_id_is_forgotten_by_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, "a")
    for n in range(1200):
        spool.commit([entry(n, client_id=client_id(n))], NOW)
    count = "SELECT count(*) FROM seen"
    assert spool.ask(lambda db: db.execute(count).fetchone())[0] == 1200
    for second in range(4):
        while spool.housekeep(NOW + 2 * second):
            pass
    assert spool.ask(lambda db: db.execute(count).fetchone())[0] == 2 + (1200 - 2 * 512)
    spool.close()
    spool = open_spool(tmp_path, "a")
    entries = [entry("again", client_id=client_id(n)) for n in range(1201)]
    assert spool.commit(entries, NOW).retries == tuple(range(1200))
    spool.close()
