"""What the control socket's commands act on: protocols that app.py's parts satisfy."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tracker.errors import TrackerError
from tracker.metrics import Metrics
from tracker.records.account_book import NewAccount
from tracker.web.control_send import PATIENCE_SECONDS, Recorder

Json = Mapping[str, Any]
Export = AsyncGenerator[bytes | Json, None]
"""Lines of JSON in pieces, then, as the last item, the counts."""


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


class DeadTools(Protocol):
    """Dead letters as their owner sees them. A filter is '' where all are meant, `letters` None for all."""

    async def ls(self, sink: str, table: str, reason: str, limit: int) -> Json:
        """`letters` without rows, `total`, `shown`, `summary` by sink, table and kind of reason."""

    async def show(self, letter: int) -> Json | None:
        """One dead letter with its row, None when there is none of this id."""

    async def replay(
        self, letters: Sequence[int] | None, sink: str, table: str, reason: str, edit: str = ""
    ) -> Json:
        """Send again, edited by a JSON Patch when there is one: how many are `done`, `missing`, `left`."""

    async def drop(self, letters: Sequence[int] | None, sink: str, table: str, reason: str) -> Json:
        """Drop for good: how many are `done`, `missing`."""

    def export(self, sink: str, table: str, reason: str) -> Export:
        """Lines of JSON in pieces; the last item has the counts."""


class SpoolTools(Protocol):
    """The spool as its owner sees it; everything that comes back is ready for JSON."""

    @property
    def dead(self) -> DeadTools:
        """Its dead letters."""

    async def ls(self) -> Json:
        """What waits, for whom."""

    async def verify(self) -> Json:
        """Check the file and recount: `ok` and `problems`."""

    async def drop_sink(self, sink: str) -> int:
        """Give up the backlog of a sink that is no longer configured; how many rows. Raises TrackerError."""

    def export(self) -> Export:
        """Every row that waits, as lines of JSON in pieces; the last item has the counts."""


class AccountBook(Protocol):
    """Accounts as their administrator sees them; hashes go in and never come out."""

    async def add(self, account: NewAccount) -> str:
        """Make one; its uid. Raises TrackerError."""

    async def listed(self) -> Sequence[Json]:
        """All of them. Raises RecordsUnavailable."""

    async def passwd(self, uid: str, pwd: str) -> None:
        """Replace a password's hash. Raises TrackerError."""

    async def disable(self, uid: str) -> None:
        """Let nothing open it any more. Raises TrackerError."""


class Persons(Protocol):
    """Erasure and export of persons; see `persons.procedure`. Whatever comes back is ready for JSON."""

    def check(self, said: Json) -> None:
        """Raises BadHit for what cannot be asked."""

    async def forget(self, said: Json, *, patience_seconds: float | None = None) -> Json:
        """Erase: the receipt, or with `dry_run` what there is. Raises BadHit, TrackerError."""

    def export(self, said: Json) -> Export:
        """Lines of JSON in pieces; the last item has the counts."""

    async def receipt(self, receipt: str) -> Json | None:
        """One receipt."""


def nothing_holds(sink: str, table: str) -> bool:
    """For a server that delivers nothing."""
    return False


def nothing_to_back_up(store: str) -> Export:
    """For a server without stores."""
    raise TrackerError(f"there is no store {store!r}")


async def nothing_to_prune(logs_only: bool, is_dry: bool) -> Json:
    """For a server without stores."""
    raise TrackerError("there is no store to prune")


@dataclass(frozen=True, slots=True)
class ControlServices:
    """What the commands act on."""

    questions: Mapping[str, Questions]
    """The stores that can answer, by name; the first is asked when no name is given."""
    recorder: Recorder
    spool: SpoolTools
    status: Callable[[], Awaitable[Json]]
    metrics: Metrics
    clock: Callable[[], float]
    max_line_bytes: int
    max_depth: int
    patience_seconds: float = PATIENCE_SECONDS
    """How long `send` waits for a spool that cannot store now."""
    release: Callable[[str, str], bool] = nothing_holds
    """Let a sink's table that holds go on; False when it does not hold. Raises TrackerError."""
    accounts: AccountBook | None = None
    """None: this server has none."""
    backup: Callable[[str], Export] = nothing_to_back_up
    """A store's rows: `sinks.backup.Stream`. Raises TrackerError."""
    persons: Persons | None = None
    """None: this server keeps nothing of persons."""
    prune: Callable[[bool, bool], Awaitable[Json]] = nothing_to_prune
    """Prune logs only, or everything; really, or only count (dry): the report. Raises TrackerError."""
