"""Parts of a table: rows that only some sinks may have wait in the spool under a name of their own.

`events@duckdb:data%2Fx,archive` are rows of `events` for these two sinks; a plain name is for every sink. The
sinks stand in the name, so that what it means does not depend on a configuration that may change.
"""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote


def part(table: str, sinks: Iterable[str]) -> str:
    """The name under which rows of a table wait that only these sinks may have, at least one."""
    return f"{table}@{','.join(quote(sink, safe=':') for sink in sorted(set(sinks)))}"


def table_of(name: str) -> str:
    """The table whose rows they are."""
    return name.partition("@")[0]


@lru_cache(maxsize=4096)
def is_for(name: str, sink: str) -> bool:
    """Whether rows under this name are meant for a sink."""
    _, is_part, sinks = name.partition("@")
    return not is_part or sink in map(unquote, sinks.split(","))
