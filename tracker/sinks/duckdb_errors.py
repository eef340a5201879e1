"""What DuckDB's errors ask of the caller: translated once, here."""

import re

import duckdb

from tracker.errors import SinkUnavailable

DATA_ERRORS = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.InvalidInputException,
    duckdb.InvalidTypeException,
    duckdb.OutOfRangeException,
    duckdb.TypeMismatchException,
)
"""Some row does not fit: the same bytes would fail again."""

_LOST_ERRORS = (duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)
_AWAY_ERRORS = (
    duckdb.IOException,
    duckdb.ResourceInUseException,
    duckdb.TransactionException,  # a commit that could not be written, on a full disk for one
    *_LOST_ERRORS,
)
_BUSY_ERRORS = (duckdb.OutOfMemoryException, duckdb.InterruptException)

_MOST_CHARACTERS = 80
_IN_FILE = re.compile(r' in file "[^"]*",?')
_CLASS = re.compile(r"^[A-Z][A-Za-z ]* Error: ")


def unavailable(error: duckdb.Error) -> Exception:
    """SinkUnavailable for what may work later, otherwise the error itself: it is a bug of ours."""
    if isinstance(error, _AWAY_ERRORS) or type(error) is duckdb.Error:  # it has no class for a damaged log
        return SinkUnavailable(f"duckdb: {first_line(error)}")
    if isinstance(error, _BUSY_ERRORS):
        return SinkUnavailable(f"duckdb: {first_line(error)}", is_connection=False)
    return error


def is_lost(error: BaseException | None) -> bool:
    """Whether the open database cannot be used any more; opening it again replays its log."""
    if isinstance(error, _LOST_ERRORS):
        return True
    # after a failed checkpoint this sentence is the only sign: the classes are those of passing errors
    return isinstance(error, duckdb.Error) and "has been invalidated" in str(error)


def is_short_of_memory(error: BaseException | None) -> bool:
    """Whether more memory would have helped; a failed checkpoint says so only in its text."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return True
    return is_lost(error) and any(words in str(error) for words in ("failed to pin", "failed to allocate"))


def first_line(error: duckdb.Error) -> str:
    """The message's first line."""
    return str(error).strip().partition("\n")[0]


def complaint(error: duckdb.Error) -> str:
    """Why a row does not fit, with no more than 80 characters, as some of them may be the row's own."""
    return _IN_FILE.sub("", _CLASS.sub("", first_line(error)))[:_MOST_CHARACTERS]
