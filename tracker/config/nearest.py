"""The known word that a misspelled one may have been meant to be."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, capitals apart; None when none is like it."""
    by_fold = {item.casefold(): item for item in known}
    # Comparing takes time with the square of the length, and nobody misspells a name this long.
    close = difflib.get_close_matches(name.casefold()[:64], by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None
