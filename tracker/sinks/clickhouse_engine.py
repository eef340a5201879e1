"""What runs SQL: a server over HTTP or the engine in this process. The rest of the sink knows only this.

Both raise the two exceptions below and nothing of a driver's; `clickhouse_errors` says what they mean.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

FORMAT = "JSONCompactEachRowWithNamesAndTypes"
"""How answers come: a line of names, a line of types, a line for each row."""

Settings = Mapping[str, str | int]
"""Names and values of ClickHouse's settings for one statement."""

READ_SETTINGS: Settings = {
    "json_type_escape_dots_in_keys": 1,
    "output_format_decimal_trailing_zeros": 1,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_decimals": 1,
    "output_format_json_quote_denormals": 0,
}
"""How answers are written, so that what was stored comes back as it was sent."""


class Complaint(Exception):
    """The engine answered a statement with an error; the statement took no effect unless it says so.

    `code` is ClickHouse's number (252 TOO_MANY_PARTS), None when the answer had none; `text` may hold
    values of rows.
    """

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.text = text


class Unreachable(Exception):
    """No answer. `is_unknown`: the statement was sent, and may have taken effect or be running still."""

    def __init__(self, reason: str, *, is_unknown: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_unknown = is_unknown


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: names of columns, rows of values that JSON knows, and ClickHouse's types of the columns."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    types: tuple[str, ...] = ()

    def dicts(self) -> list[dict[str, Any]]:
        """The rows by name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def told(answer: bytes) -> Told:
    """An answer in FORMAT. Raises Complaint when it ends in the middle."""
    lines = answer.splitlines()
    try:
        names, types = (orjson.loads(line) for line in lines[:2])
        # orjson would round integers beyond 64 bits
        load = json.loads if any("Int128" in kind or "Int256" in kind for kind in types) else orjson.loads
        rows = [load(line) for line in lines[2:]]
    except ValueError as error:
        raise Complaint(None, "an answer that is no JSON") from error
    return Told(tuple(names), rows, tuple(types))


class Engine(Protocol):
    """One place that runs SQL in one database. `open` and statements raise Complaint and Unreachable."""

    @property
    def place(self) -> str:
        """Where it is, for people: `host:8123`, `embedded data/clickhouse`."""

    @property
    def database(self) -> str:
        """The database that unqualified names mean; `open` does not ask whether it is there."""

    async def open(self) -> None:
        """Connect. Safe when open."""

    async def command(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> None:
        """Run one statement that answers nothing; `anywhere`: also when the database is not there."""

    async def ask(self, sql: str, settings: Settings | None = None, *, anywhere: bool = False) -> Told:
        """Answer one SELECT without FORMAT and SETTINGS of its own."""

    def stream(self, sql: str, settings: Settings | None = None) -> AsyncGenerator[bytes, None]:
        """The rows of one SELECT as whole lines of JSON, in pieces of any size and never all in memory.

        An engine runs nothing else meanwhile. An answer that ends too early, wherever, is raised.
        """

    async def insert(self, table: str, data: bytes, settings: Settings | None = None) -> None:
        """Insert lines of JSON, as one block for each partition; `table` may be `FUNCTION null('…')`."""

    async def close(self) -> None:
        """Let go. Safe twice and before `open`; what is under way ends as Unreachable."""
