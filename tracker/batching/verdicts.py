"""A look at what a sink says of rows before anything is done about it: sinks have bugs too."""

from collections.abc import Mapping

from tracker.errors import TrackerError

MOST_CHARACTERS = 1_000
NO_REASON = "the sink gave no reason"


class WrongVerdict(TrackerError):
    """A sink rejected what is not there: a bug of the sink's, nothing may be put aside for it."""


def checked(reasons: Mapping[int, str], rows: int) -> dict[int, str]:
    """Position to a reason that can be kept, in order. Raises WrongVerdict if one is no row of the batch."""
    if not reasons or not all(type(at) is int and 0 <= at < rows for at in reasons):
        raise WrongVerdict("the sink rejected rows that are not in the batch")
    return {at: readable(reasons[at]) for at in sorted(reasons)}


def readable(reason: object) -> str:
    """A reason as text that every store takes, bounded and never empty."""
    text = reason if isinstance(reason, str) else ""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ").strip()
    return text[:MOST_CHARACTERS] or NO_REASON
