"""The conditions of pruning in SQL, the same for every store but for the words in which it says them."""

from typing import Protocol

from tracker.sinks.pruning import Emptied, Emptying, Rule
from tracker.tables import Default, Kind


class Dialect(Protocol):
    """How one store says it."""

    def value(self, kind: Kind, value: Default) -> str:
        """A value of a column as SQL."""

    def is_filled(self, column: str) -> str:
        """A document or array has anything in it."""

    def text(self, column: str) -> str:
        """A key's column as text."""

    def has_other_params(self, hash_keys: tuple[str, ...]) -> str:
        """params hold anything but hashes under these keys."""

    def has_numbers(self) -> str:
        """params have a number at their top."""

    def bits(self, column: str, mask: int) -> str:
        """The bits of a column that a mask names, as a number."""


DOCUMENTS = (Kind.JSON, Kind.TEXTS, Kind.UUIDS)


def is_old(rule: Rule, say: Dialect) -> str:
    """The row is old, and nothing keeps it."""
    kind = rule.table.kinds()[rule.time]
    parts = [f"{rule.time} < {say.value(kind, rule.before_in_column)}"]
    if rule.since:
        parts.append(f"{rule.time} >= {say.value(kind, rule.since_in_column)}")
    if rule.keeps_cflags:
        parts.append(f"{say.bits('cflags', rule.keeps_cflags)} = 0")
    if rule.until:
        time, *key = rule.until
        names = ", ".join((rule.time, *map(say.text, rule.table.key)))
        values = ", ".join((say.value(kind, time), *(say.value(Kind.TEXT, part) for part in key)))
        parts.append(f"({names}) <= ({values})")
    return " AND ".join(parts)


def is_due(rule: Rule, say: Dialect) -> str:
    """The row is old, and the rule would change it."""
    if rule.emptying is None:
        return is_old(rule, say)
    return f"{is_old(rule, say)} AND {is_full(rule.emptying, say)}"


def is_full(emptying: Emptying, say: Dialect) -> str:
    """The row is not emptied yet."""
    parts = [_holds_other(field, say) for field in emptying.fields]
    if emptying.clears_params:
        parts.append(say.has_other_params(emptying.hash_keys))
    elif emptying.clears_numbers:
        parts.append(say.has_numbers())
    return f"({' OR '.join(parts)})" if parts else "false"


def last_of(rule: Rule, say: Dialect, table: str, rows: int) -> str:
    """A question for the time and key of the last of so many rows that are due, the oldest first."""
    columns = [rule.time, *map(say.text, rule.table.key)]
    names = [f"c{number}" for number in range(len(columns))]
    fields = ", ".join(f"{column} AS {name}" for column, name in zip(columns, names, strict=True))
    return (
        f"SELECT {fields} FROM {table} WHERE {is_due(rule, say)} "  # noqa: S608 (names of the catalogue, quoted values)
        f"ORDER BY {', '.join(names)} LIMIT 1 OFFSET {rows - 1}"
    )


def _holds_other(field: Emptied, say: Dialect) -> str:
    if field.column.kind in DOCUMENTS:
        return say.is_filled(field.column.name)
    return f"{field.column.name} <> {say.value(field.column.kind, field.value)}"
