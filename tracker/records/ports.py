"""What records ask of the rest of the collector."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

Row = dict[str, Any]
Save = Callable[[Row], Awaitable[None]]
"""Makes a row durable; raises CannotStore."""


class Finder(Protocol):
    """The store that is asked; see `sinks.base.Store`."""

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[Row]:
        """The current rows in which every named column equals one of its values. Raises QueryError."""


class WaitingRows(Protocol):
    """Rows that were acknowledged and that wait for the asked store; dead letters are not among them."""

    def lines(self, table: str, needles: Sequence[bytes] = ()) -> AsyncIterator[Sequence[bytes]]:
        """A table's rows as lines of JSON, oldest first, in pieces; with needles, those that contain one."""

    async def is_empty(self, table: str) -> bool:
        """No row of the table waits."""
