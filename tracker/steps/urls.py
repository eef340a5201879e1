"""Page addresses as the columns `url` and `last` hold them: `//host/path`, lower case, without query."""

import re
from collections.abc import Callable

Shorten = Callable[[str], str]

_is_own_route = re.compile(r"/(?:tr|img|pub|str|rdr|xrdr)/v[0-9]").search


def shortener(url_filter: re.Pattern[str] | None, group: int) -> Shorten:
    """How addresses are shortened: cut at `?`, or what a group of `url_filter` captures (0 = the last group).

    An address that the filter does not match is cut at `?`.
    """
    if url_filter is None:
        return _without_query
    chosen = group if 0 < group <= url_filter.groups else url_filter.groups

    def shorten(text: str) -> str:
        match = url_filter.search(text)
        return _without_scheme(match[chosen] or "") if match else _without_query(text)

    return shorten


def is_own_route(uri: str) -> bool:
    """Whether a request's own address is a tracking route and thus no page."""
    return _is_own_route(uri) is not None


def _without_query(text: str) -> str:
    return _without_scheme(text).partition("?")[0]


def _without_scheme(text: str) -> str:
    lower = text.strip().lower()
    for scheme in ("https://", "http://"):
        _, found, after = lower.partition(scheme)
        if found:
            return f"//{after}"
    return lower
