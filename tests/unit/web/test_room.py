from dataclasses import dataclass

from tracker.web.room import Room


@dataclass(frozen=True)
class Body:
    name: str
    can_give_way: bool = True


def test_nobody_gives_way_while_there_is_room() -> None:
    room: Room[Body] = Room(10)
    room.hold(Body("a"), 10)
    assert room.who_gives_way() is None


def test_whoever_holds_most_gives_way_not_whoever_came_last() -> None:
    room: Room[Body] = Room(10)
    room.hold(Body("large"), 8)
    room.hold(Body("small"), 3)
    assert room.who_gives_way() == Body("large")
    room.leave(Body("large"))
    assert (room.taken, room.who_gives_way()) == (3, None)


def test_a_body_that_is_being_stored_is_not_asked() -> None:
    room: Room[Body] = Room(10)
    room.hold(Body("stored", can_give_way=False), 9)
    assert room.who_gives_way() is None
    room.hold(Body("small"), 2)
    assert room.who_gives_way() == Body("small")


def test_a_body_that_grows_is_counted_once_and_leaving_twice_is_safe() -> None:
    room: Room[Body] = Room(10)
    for size in (1, 5, 7):
        room.hold(Body("a"), size)
    assert room.taken == 7
    room.leave(Body("a"))
    room.leave(Body("a"))
    assert room.taken == 0
