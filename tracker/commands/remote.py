"""The spool of a running server, through its control socket: the same methods as the tools on the file."""

from collections.abc import Sequence
from typing import Any

from tracker.commands.client import ControlClient
from tracker.web.control_services import Export, Json


class RemoteSpool:
    """Spool tools that ask. Every method raises NotRunning or Refused."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self.dead = RemoteDead(client)

    async def ls(self) -> Json:
        """What waits, for whom."""
        return await self._client.get("/spool")

    async def verify(self) -> Json:
        """Check the file and recount."""
        return await self._client.post("/spool/verify", {})

    async def drop_sink(self, sink: str) -> int:
        """Give up the backlog of a sink that is no longer configured; how many rows."""
        told = await self._client.post("/spool/drop-sink", {"sink": sink})
        return int(told["dropped"])

    def export(self) -> Export:
        """Every row that waits, as lines of JSON."""
        return self._client.stream("/spool/export")


class RemoteDead:
    """Tools on dead letters that ask."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def ls(self, sink: str, table: str, reason: str, limit: int) -> Json:
        """Dead letters without their rows."""
        return await self._client.get("/dead", sink=sink, table=table, reason=reason, limit=limit)

    async def show(self, letter: int) -> Json | None:
        """One dead letter with its row."""
        return await self._client.get(f"/dead/{letter}")

    async def replay(
        self, letters: Sequence[int] | None, sink: str, table: str, reason: str, edit: str = ""
    ) -> Json:
        """Send dead letters again."""
        command = {**_command(letters, sink, table, reason), "edit": edit}
        return await self._client.post("/dead/replay", command)

    async def drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> Json:
        """Drop dead letters for good."""
        return await self._client.post("/dead/drop", _command(letters, sink, table, reason))

    def export(self, sink: str, table: str, reason: str) -> Export:
        """Dead letters with their rows, as lines of JSON."""
        return self._client.stream("/dead/export", sink=sink, table=table, reason=reason)


def _command(letters: Sequence[int] | None, sink: str, table: str, reason: str) -> dict[str, Any]:
    which: dict[str, Any] = {"all": True} if letters is None else {"letters": list(letters)}
    return which | {"sink": sink, "table": table, "reason": reason}
