"""How many bytes that were not dealt with yet may lie in memory, over all connections.

A count and who holds how much of it; what giving way means is a connection's own business.
"""

from typing import Generic, Protocol, TypeVar


class Holder(Protocol):
    """Somebody who holds bytes."""

    @property
    def can_give_way(self) -> bool:
        """Whether it could be told to let go of them now."""


H = TypeVar("H", bound=Holder)


class Room(Generic[H]):
    """So many bytes for all. Small holdings are not entered: the number of connections bounds them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._held: dict[H, int] = {}

    def hold(self, holder: H, size: int) -> None:
        """From now on it holds so many bytes."""
        self.taken += size - self._held.get(holder, 0)
        self._held[holder] = size

    def leave(self, holder: H) -> None:
        """It holds nothing any more. Safe when it never did."""
        self.taken -= self._held.pop(holder, 0)

    def who_gives_way(self) -> H | None:
        """When there is too much, whoever holds most: a few large bodies never keep many small ones out."""
        if self.taken <= self.limit:
            return None
        able = [holder for holder in self._held if holder.can_give_way]
        return max(able, key=self._held.__getitem__, default=None)
