"""What the control socket's commands act on: protocols that app.py's parts satisfy."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tracker.metrics import Metrics
from tracker.web.control_send import PATIENCE_SECONDS, Recorder

Json = Mapping[str, Any]


class Answer(Protocol):
    """What a store says to one question."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def rows(self) -> Sequence[Sequence[Any]]:
        """Values that JSON knows."""

    @property
    def is_cut(self) -> bool:
        """There was more."""


class Questions(Protocol):
    """The store that is asked."""

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """Answer one SELECT. Raises QueryError."""


class SpoolTools(Protocol):
    """The spool as its owner sees it; everything that comes back is ready for JSON."""

    async def ls(self) -> Json:
        """What waits, for whom."""

    async def verify(self) -> Json:
        """Check the file and recount: `ok` and `problems`."""

    async def drop_sink(self, sink: str) -> int:
        """Give up the backlog of a sink that is no longer configured; how many rows. Raises TrackerError."""

    async def dead_ls(self, sink: str, table: str, reason: str, limit: int) -> Json:
        """Dead letters without their rows; an empty filter lets all through."""

    async def dead_show(self, letter: int) -> Json | None:
        """One dead letter with its row, None when there is none of this id."""

    async def dead_replay(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        """Send dead letters again, these or (None) all that the filters let through; how many."""

    async def dead_drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> int:
        """Drop dead letters for good, these or (None) all that the filters let through; how many."""


@dataclass(frozen=True, slots=True)
class ControlServices:
    """What the commands act on. `questions` is None when no configured store can answer."""

    questions: Questions | None
    recorder: Recorder
    spool: SpoolTools
    status: Callable[[], Awaitable[Json]]
    metrics: Metrics
    clock: Callable[[], float]
    max_line_bytes: int
    max_depth: int
    patience_seconds: float = PATIENCE_SECONDS
    """How long `send` waits for a spool that cannot store now."""
