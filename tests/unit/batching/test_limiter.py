import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tracker.batching.limiter import InFlightLimit, Slot, Slots


async def take(slots: Slots, priority: int, name: str, order: list[str]) -> Slot:
    slot = await slots.take(priority)
    order.append(name)
    return slot


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_slot_is_given_at_once_and_never_more_than_there_are() -> None:
    slots = Slots(2)
    await slots.take(3)
    await slots.take(3)
    third = asyncio.create_task(slots.take(1))
    await settle()
    assert not third.done()
    assert slots.in_use == 2
    third.cancel()


async def test_waiters_are_served_by_priority_and_then_in_their_order() -> None:
    slots, order = Slots(1), list[str]()
    held = await slots.take(3)
    wishes = [(4, "late"), (2, "b"), (1, "a"), (2, "c")]
    tasks = [asyncio.create_task(take(slots, priority, name, order)) for priority, name in wishes]
    await settle()
    held.leave()
    while len(order) < 4:
        await settle()
        done = next(task for task in tasks if task.done())
        tasks.remove(done)
        done.result().leave()
    assert order == ["a", "b", "c", "late"]


async def test_a_waiter_that_is_cancelled_in_the_moment_it_is_served_gives_the_slot_on() -> None:
    slots = Slots(1)
    held = await slots.take(1)
    first, second = (asyncio.create_task(slots.take(1)) for _ in range(2))
    await settle()
    held.leave()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert isinstance(await second, Slot)
    assert slots.in_use == 1


async def test_a_slot_stays_taken_until_the_call_it_was_shared_with_has_ended() -> None:
    slots, end = Slots(1), asyncio.Event()
    slot = await slots.take(1)
    call = asyncio.create_task(end.wait())
    slot.share(call)
    slot.leave()
    assert slots.in_use == 1
    end.set()
    await call
    await settle()
    assert slots.in_use == 0


async def test_fewer_slots_after_overload_are_kept_to_and_grow_back() -> None:
    slots = Slots(4)
    slots.overloaded()
    taken = [await slots.take(1), await slots.take(1)]
    third = asyncio.create_task(slots.take(1))
    await settle()
    assert not third.done()
    for _ in range(2):
        slots.succeeded()
    await settle()
    assert third.done()
    assert len(taken) < slots.limit.slots <= 4


def test_successes_below_the_limit_teach_nothing() -> None:
    limit = InFlightLimit(8, 4.0)
    assert limit.after_success(3) == limit
    assert limit.after_success(4).value == 4.25


@given(st.integers(1, 64), st.lists(st.one_of(st.none(), st.integers(0, 64)), max_size=200))
def test_the_limit_stays_between_one_and_what_the_sink_allows(cap: int, happened: list[int | None]) -> None:
    limit = InFlightLimit(cap, float(cap))
    for in_use in happened:
        limit = limit.after_overload() if in_use is None else limit.after_success(in_use)
        assert min(2, cap) <= limit.slots <= cap
