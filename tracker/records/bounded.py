"""Values by key, bounded in number and bytes; what was not used for longest goes first."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """`most_bytes` bounds the sizes that are given with the values, as their owner estimates them."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[K]:
        """Keys, the one not used for longest first."""
        return iter(self._held)

    def get(self, key: K) -> V | None:
        """The value, which counts as used; None when there is none."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def look(self, key: K) -> V | None:
        """The value, which does not count as used."""
        found = self._held.get(key)
        return found[0] if found is not None else None

    def keep(self, key: K, value: V, size: int) -> list[K]:
        """Hold the value; the keys that had to go for it."""
        self.drop(key)
        self._held[key] = (value, size)
        self._bytes += size
        gone = []
        while len(self._held) > self._most or self._bytes > self._most_bytes:
            oldest, (_, its_size) = self._held.popitem(last=False)
            self._bytes -= its_size
            gone.append(oldest)
        return gone

    def drop(self, key: K) -> None:
        """Hold it no longer; nothing when it was not there."""
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= found[1]
