"""The contract between delivery and a store: what each side may rely on.

A `Sink` is written to; a `Store` can also be asked. Implementations import nothing from `batching`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tracker.events import Batch


class Sink(Protocol):
    """Where batches go.

    Delivery calls `open` before the first `write` and again after `SinkUnavailable` left it closed; it never
    calls `write` more than `parallel` times at once, and never sends one table's batches out of order.
    """

    @property
    def name(self) -> str:
        """What this sink is called in the spool, in metrics and in configuration; never changes."""

    @property
    def parallel(self) -> int:
        """How many writes may be under way at once."""

    @property
    def rest_seconds(self) -> float:
        """How far apart batches of one table should be, 0 when it does not matter.

        Rows that arrive meanwhile leave together, in batches as large as memory allows.
        """

    async def open(self) -> None:
        """Connect and bring the schema up to date. Raises SinkUnavailable. Safe to call when open."""

    async def write(self, batch: Batch) -> None:
        """Return only when every row of the batch has taken effect, exactly once however often it is sent.

        Raises SinkUnavailable (same bytes again later; after a time-out the outcome may be unknown),
        RowsRejected (these rows never; nothing was written), BatchRejected (something in here never; nothing
        was written) or SchemaMismatch (the table must be mended first; nothing was written). Anything else
        that is raised counts as a bug of the sink.
        """

    async def check(self) -> None:
        """Ask whether the store answers, without writing. Raises SinkUnavailable."""

    async def close(self) -> None:
        """Let go of everything. Safe twice and before `open`; a write under way may fail as unavailable."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store says to one question: values are str, int, float, bool, None, list or dict."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    is_cut: bool = False
    """There was more than the row limit let through."""


class Store(Protocol):
    """A sink that can also be asked."""

    async def query(self, sql: str, *, max_rows: int, timeout_seconds: float) -> Answer:
        """Answer one SELECT without touching files or holding up delivery. Raises QueryError."""

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        """The current rows of a catalogue table in which every named column equals one of its values.

        Of each key the newest version only, all columns, in the order of the table's key, at most `limit`;
        an empty `where` means all. JSON comes as objects, times as `2026-11-22 03:00:00.123Z`, UUIDs with
        hyphens, decimals as text: as rows carry them. No question holds it up. Raises QueryError, after 5 s
        at the latest; KeyError or ValueError for a table or column that cannot be asked by.
        """
