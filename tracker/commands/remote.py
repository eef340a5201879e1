"""The spool of a running server, through its control socket: the same methods as the tools on the file."""

from collections.abc import Mapping, Sequence
from typing import Any

from tracker.commands.client import ControlClient


class RemoteSpool:
    """Spool tools that ask. Every method raises NotRunning or Refused."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def ls(self) -> Mapping[str, Any]:
        """What waits, for whom."""
        return await self._client.get("/spool")

    async def verify(self) -> Mapping[str, Any]:
        """Check the file and recount."""
        return await self._client.post("/spool/verify", {})

    async def drop_sink(self, sink: str) -> int:
        """Give up the backlog of a sink that is no longer configured; how many rows."""
        told = await self._client.post("/spool/drop-sink", {"sink": sink})
        return int(told["dropped"])

    async def dead_ls(self, sink: str, table: str, reason: str, limit: int) -> Mapping[str, Any]:
        """Dead letters without their rows."""
        return await self._client.get("/dead", sink=sink, table=table, reason=reason, limit=limit)

    async def dead_show(self, letter: int) -> Mapping[str, Any] | None:
        """One dead letter with its row."""
        return await self._client.get(f"/dead/{letter}")

    async def dead_replay(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        """Send dead letters again; how many."""
        told = await self._client.post("/dead/replay", _command(letters, sink, table, reason))
        return int(told["replayed"])

    async def dead_drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        """Drop dead letters for good; how many."""
        told = await self._client.post("/dead/drop", _command(letters, sink, table, reason))
        return int(told["dropped"])


def _command(letters: Sequence[int] | None, sink: str, table: str, reason: str) -> dict[str, Any]:
    which: dict[str, Any] = {"all": True} if letters is None else {"letters": list(letters)}
    return which | {"sink": sink, "table": table, "reason": reason}
