"""A bounded memory of what was worked out before; who may be remembered is the caller's decision."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """At most `limit` values; the oldest goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[K, V] = {}
        self.get = self._values.get
        """The value of a key, None when it is not remembered."""

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, key: K, value: V) -> None:
        """Remember a value."""
        if len(self._values) >= self._limit:
            del self._values[next(iter(self._values))]
        self._values[key] = value
