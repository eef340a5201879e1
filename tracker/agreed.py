"""What visitors agreed to before, for events that say nothing of consent themselves.

Asked for before an event is worked out, which waits for nothing; then looked at in memory.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from tracker.errors import RecordsUnavailable

WAIT_SECONDS = 0.5
"""How long a store may take; then nothing is known of an agreement."""


class Agreements(Protocol):
    """Current rows of `agreements` by visitor; see `records.lookup.Lookup`."""

    def peek(self, key: str) -> Any:
        """The row as far as it is known without waiting: an object; anything else is none."""

    async def get(self, key: str) -> Any:
        """The row, None for none. Raises RecordsUnavailable."""


class Agreed:
    """Consent as stored; what cannot be known in time counts as nothing said."""

    def __init__(self, agreements: Agreements) -> None:
        self._agreements = agreements

    def cflags(self, vid: str) -> int | None:
        """What the visitor agreed to, None for nothing that is known now."""
        row = self._agreements.peek(vid)
        return row.get("cflags", 0) if isinstance(row, dict) else None

    async def learn(self, vids: Iterable[str]) -> None:
        """Wait, for a bounded time, until `cflags` knows of all these."""
        asked = [self._agreements.get(vid) for vid in vids if not self._is_known(vid)]
        if asked:
            await asyncio.gather(*map(self._answered, asked))

    def _is_known(self, vid: str) -> bool:
        row = self._agreements.peek(vid)
        return row is None or isinstance(row, dict)

    async def _answered(self, asked: Any) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await asked
        except (RecordsUnavailable, TimeoutError):
            return
