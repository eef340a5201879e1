"""A row in the making: columns, what goes into params, and what did not fit; rules say which key does what.

Shared by events and the other kinds of writes. A draft lives only while one thing is prepared.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tracker.events import Values
from tracker.steps import coerce, ids
from tracker.tables import ZERO_UUID

MOST_INT32 = 2**31 - 1


@dataclass(slots=True)
class Draft:
    """One row in the making. Columns at their default are left out."""

    row: dict[str, Any]
    sent_params: dict[str, Any] = field(default_factory=dict)
    """The object the client called params, not to be changed."""
    params: dict[str, Any] = field(default_factory=dict)
    """What else belongs into params; wins over `sent_params`."""
    faults: list[str] = field(default_factory=list)
    """Reasons, as labels of a metric."""

    def misfit(self, key: str, column: str, value: Any) -> None:
        """Keep a value that its column cannot hold, and say so."""
        self.params[key] = value
        self.faults.append(f"column_type:{column}")


Put = Callable[[Draft, str, str, Any], None]
"""What becomes of a value: (draft, key, column, value). Raises Misfit when the column cannot hold it."""
Rules = Mapping[str, tuple[str, Put]]
"""Key to its column and what becomes of its value."""


def fill(draft: Draft, rules: Rules, values: Values) -> None:
    """Do with every value what its key's rule says; keys without a rule go into params as they were sent."""
    rule_of, row = rules.get, draft.row
    for key, value in values.items():
        column, put = rule_of(key, _NO_COLUMN)
        if put is put_dimension and type(value) is str:  # half of all keys: spares them the call
            if kept := value.strip().lower():
                row[column] = kept
            continue
        try:
            put(draft, key, column, value)
        except coerce.Misfit:
            draft.misfit(key, column, value)


def finish_params(draft: Draft, refused: frozenset[str]) -> None:
    """Put params into the row: the client's own, less the refused keys, under everything else."""
    sent = draft.sent_params
    if sent and not refused.isdisjoint(sent):
        sent = {key: value for key, value in sent.items() if key not in refused}
    if draft.params:
        draft.row["params"] = {**sent, **draft.params} if sent else draft.params
    elif sent:
        draft.row["params"] = sent


def put_extra(draft: Draft, key: str, column: str, value: Any) -> None:
    """No column: into params, as sent."""
    draft.params[key] = value


def put_nowhere(draft: Draft, key: str, column: str, value: Any) -> None:
    """Not stored."""


def put_dimension(draft: Draft, key: str, column: str, value: Any) -> None:
    """Text in lower case."""
    if type(value) is not str:
        value = coerce.text(value)
    if kept := value.strip().lower():
        draft.row[column] = kept


def put_upper(draft: Draft, key: str, column: str, value: Any) -> None:
    """Text in upper case."""
    if kept := coerce.text(value).strip().upper():
        draft.row[column] = kept


def put_text(draft: Draft, key: str, column: str, value: Any) -> None:
    """Text in its own case."""
    if kept := coerce.text(value).strip():
        draft.row[column] = kept


def put_int64(draft: Draft, key: str, column: str, value: Any) -> None:
    """A whole number."""
    if type(value) is int and 0 < value < MOST_INT32:  # nearly always
        draft.row[column] = value
    elif number := coerce.integer(value, -(2**63), 2**63 - 1):
        draft.row[column] = number


def put_int32(draft: Draft, key: str, column: str, value: Any) -> None:
    """A whole number that is not large."""
    if number := coerce.integer(value, -MOST_INT32 - 1, MOST_INT32):
        draft.row[column] = number


def put_real(draft: Draft, key: str, column: str, value: Any) -> None:
    """A number."""
    if number := coerce.real(value):
        draft.row[column] = number


def put_document(draft: Draft, key: str, column: str, value: Any) -> None:
    """An object, as sent."""
    if document := coerce.document(value):
        draft.row[column] = document


def put_params(draft: Draft, key: str, column: str, value: Any) -> None:
    """The client's own params, an object."""
    if type(value) is not dict:
        raise coerce.Misfit
    draft.sent_params = value


def put_id(namespace: str) -> Put:
    """A UUID in any form, or a text that names one; that text stays in params."""

    def put(draft: Draft, key: str, column: str, value: Any) -> None:
        if type(value) is str and ids.is_canonical(value) and value != ZERO_UUID:  # nearly always
            draft.row[column] = value
            return
        if type(value) is bool:
            raise coerce.Misfit
        text = coerce.text(value)
        known = ids.parse(text)
        if known is None:
            name = text.strip()
            if not name:
                return
            known = ids.named(name, namespace)
            draft.params[key] = value
        if known != ZERO_UUID:
            draft.row[column] = known

    return put


def also_extra(put: Put) -> Put:
    """Into the column, and as sent into params too."""

    def put_both(draft: Draft, key: str, column: str, value: Any) -> None:
        draft.params[key] = value
        put(draft, key, column, value)

    return put_both


_NO_COLUMN: tuple[str, Put] = ("", put_extra)
