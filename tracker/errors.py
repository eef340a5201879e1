"""Every exception that crosses a module's border, named for what its catcher should do.

    TrackerError
    ├── ConfigError              stop: the configuration must be mended first (exit code 78)
    ├── BadHit                   answer 400: this can never be stored
    │   └── TooLarge             answer 413: it is over a configured bound
    ├── InUse                    wait for the other process, or tell the person to stop it
    ├── CannotStore              answer 503 with Retry-After: it cannot be stored now
    ├── RecordsUnavailable       answer 503 with Retry-After: a current row cannot be known now
    ├── Denied                   answer 401 or 400: these credentials open nothing
    ├── LockedOut                answer 429 with Retry-After: too many wrong credentials
    ├── QueryError               tell the person who asked: refused, failed or out of time
    └── SinkError                what a sink asks of delivery
        ├── SinkUnavailable      send the same batch again later
        ├── SchemaMismatch       hold the table until a person has mended the store
        ├── RowsRejected         put these rows aside, send the rest under a child id
        └── BatchRejected        something in here can never be stored: split

Driver errors are translated into these once, in the module that owns the driver.
"""

from collections.abc import Mapping


class TrackerError(Exception):
    """The root: anything this project raises on purpose."""


class ConfigError(TrackerError):
    """The configuration cannot be used; the message names file, path, value and what was expected."""


class BadHit(TrackerError):
    """What was sent can never become an event; the message is the reason given to the sender.

    `code` is the reason as a metric's label: one of a few short words, never anything that was sent.
    """

    def __init__(self, reason: str, code: str = "malformed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class TooLarge(BadHit):
    """What was sent is over a configured bound; the message names the bound."""

    def __init__(self, reason: str, code: str = "too_large") -> None:
        super().__init__(reason, code)


class InUse(TrackerError):
    """Another process has what only one can have; the message names it."""


class CannotStore(TrackerError):
    """Nothing was acknowledged, and the sender should try again after `retry_after_seconds`."""

    def __init__(self, reason: str, retry_after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class RecordsUnavailable(TrackerError):
    """Whether there is a row, and which, cannot be known now; ask again after `retry_after_seconds`."""

    def __init__(self, reason: str, retry_after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Denied(TrackerError):
    """These credentials open nothing; the message is the same whatever is wrong with them."""

    def __init__(self, reason: str = "Bad pass") -> None:
        super().__init__(reason)
        self.reason = reason


class LockedOut(TrackerError):
    """Too many wrong credentials came before these: they are looked at after `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("Too many attempts")
        self.reason = "Too many attempts"
        self.retry_after_seconds = retry_after_seconds


class QueryError(TrackerError):
    """A question to a store was refused, failed or ran out of time; the message says which."""


class SinkError(TrackerError):
    """The root of what a sink may answer to `write`."""


class SinkUnavailable(SinkError):
    """The sink cannot be reached or is overloaded: the same bytes go again, for as long as it takes.

    `retry_after_seconds` is the sink's own wish, None when it has none. `is_connection` says whether
    the sink as a whole is away (this feeds its circuit breaker) or only this one table failed.
    """

    def __init__(
        self, reason: str, retry_after_seconds: float | None = None, *, is_connection: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.is_connection = is_connection


class SchemaMismatch(SinkError):
    """The store's table is not what the rows need; nothing was written, and no row is to blame.

    The message has the exact difference and the command that mends it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RowsRejected(SinkError):
    """The rows at these positions of the batch (0 is the first) can never be stored; nothing was written."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        first = next(iter(reasons.values()), "")
        super().__init__(f"{len(reasons)} rows rejected, the first because: {first}")
        self.reasons = dict(reasons)


class BatchRejected(SinkError):
    """Some row of the batch can never be stored, the sink cannot say which; nothing was written."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
