"""What one lane counts: for its snapshot, for the metrics, and to tell a repeated bug from a new one."""

from dataclasses import dataclass
from types import MappingProxyType

from tracker.metrics import Metrics

_TROUBLE = MappingProxyType({"retried": "unavailable", "failed": "unexpected failure"})


class Tally:
    """One table's numbers for one sink since the start of the process; counts each thing in one place."""

    def __init__(self, metrics: Metrics, sink: str, table: str) -> None:
        self.batches = 0
        self.rows = 0
        self.failures = 0
        self.dead = 0
        self.write_seconds = 0.0
        self.last_error: str | None = None
        self.trouble: str | None = None
        self.last_success_at: float | None = None
        self._names = (sink, table)
        self._metrics = metrics

    def done(self, rows: int, seconds: float, now: float) -> None:
        """A batch took effect."""
        self.batches += 1
        self.rows += rows
        self.write_seconds += seconds
        self.last_error = self.trouble = None
        self.last_success_at = now
        self._metrics.batches.labels(*self._names, "done").inc()
        self._metrics.batch_rows.labels(*self._names).inc(rows)

    def failed(self, outcome: str, why: str) -> None:
        """An attempt ended otherwise: retried, split, rejected or failed."""
        self.failures += 1
        self.last_error = why
        self.trouble = _TROUBLE.get(outcome)
        self._metrics.batches.labels(*self._names, outcome).inc()

    def buried(self, rows: int) -> None:
        """Rows went among the dead letters."""
        self.dead += rows
        self._metrics.dead_letters.labels(*self._names).inc(rows)


@dataclass(frozen=True, slots=True)
class Stumbles:
    """Unexpected failures in a row that are the same: of one type, from one line of code."""

    mark: tuple[str, str, int] | None = None
    count: int = 0

    def after(self, error: BaseException) -> "Stumbles":
        """One more."""
        mark = _mark(error)
        return Stumbles(mark, self.count + 1 if mark == self.mark else 1)


def _mark(error: BaseException) -> tuple[str, str, int]:
    """Not the message: it may name the batch and so differ each time."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__qualname__, "", 0
    return type(error).__qualname__, trace.tb_frame.f_code.co_filename, trace.tb_lineno
