"""How many tracked requests may be under way at once (`MaximumConnections`)."""


class Gate:
    """A count with a limit; 0 is no limit. Whoever enters must leave, in a `finally`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def enter(self) -> bool:
        """Whether there was room; it is taken then."""
        if 0 < self._limit <= self.taken:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        """Give the room back."""
        self.taken -= 1
