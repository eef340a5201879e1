"""What an event carries of its thread or of a message -> rows of mthreads, mstore and mtriage.

Only an event whose `tid` is a UUID carries any, and a row is written only for what was really sent:

- keys that only mthreads has (provider, campaign_status, abz_status, ...) tell the thread's state: mthreads;
- keys that only messages have (subject, msg, data, scheduled, ...) make a message: mstore and mtriage, but
  mstore alone where nothing was sent that mtriage has (planned, hide, ...);
- keys that both have (urgency, svc, deleted, ...) go into whichever of these rows there are. Where no other
  key says which, a template (mtempl) is a message and anything else is the thread's state.

Columns that events have too (ename, source, xid, ...) are copied from the event's row and never make a row:
tracking traffic must not bury what is known of a campaign. A value at its column's default says nothing.
Each row's id is the event's, so that the same event again is the same rows.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any, NamedTuple

from tracker.events import Row, Values
from tracker.steps import coerce, ids
from tracker.steps.rows import encode
from tracker.tables import DEFAULTS, EVENTS, ZERO_UUID, Column, Kind, Table
from tracker.tables.messages import MSTORE, MTRIAGE
from tracker.tables.threads import MTHREADS

Read = Callable[[Any], Any]
"""What was sent -> what the column holds. Raises Misfit, with what fits of it."""


def _text(value: Any) -> str:
    return coerce.text(value).strip()


def _lower(value: Any) -> str:
    return coerce.text(value).strip().lower()


def _whole(bits: int) -> Read:
    return lambda value: coerce.integer(value, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


_BY_KIND: Mapping[Kind, Read] = {
    Kind.UUID: coerce.identifier,
    Kind.TEXT: _text,
    Kind.LABEL: _lower,
    Kind.INT8: _whole(8),
    Kind.INT16: _whole(16),
    Kind.INT32: _whole(32),
    Kind.INT64: _whole(64),
    Kind.FLOAT64: coerce.real,
    Kind.BOOL: coerce.flag,
    Kind.TIMESTAMP: coerce.moment,
    Kind.JSON: coerce.opened,
    Kind.TEXTS: coerce.texts,
    Kind.UUIDS: coerce.identifiers,
}
_GROUPED_BY = frozenset(
    {
        *("provider", "provider_status", "xstatus", "svc", "funnel_stage", "recipient_timezone"),
        *("abz_algorithm", "abz_reward_metric", "abz_status", "abz_model_type", "abz_acquisition_function"),
        *("campaign_phase", "campaign_status", "content_status", "content_intention", "winner_variant"),
        *("attribution_model", "creator_compensation_model"),
    }
)
"""Text that is lower case, as in the columns of events by which people group."""
_BY_NAME: Mapping[str, Read] = {
    **dict.fromkeys(_GROUPED_BY, _lower),
    **dict.fromkeys(("subject", "msg"), coerce.text),
    **dict.fromkeys(("data", "mtempl"), coerce.written),
}

_EVENT_HAS = EVENTS.kinds().keys()
_NOTHING: Mapping[Kind, Any] = {**DEFAULTS, Kind.JSON: {}, Kind.TEXTS: [], Kind.UUIDS: []}


class _Form:
    """How rows of a table are filled: what is read from keys of its own, what is copied from the event."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.copied = tuple(column.name for column in table.columns if column.name in _EVENT_HAS)
        own = [column for column in table.columns if column.name not in _EVENT_HAS]
        self.reads = {column.name: _read_of(column) for column in own if column.name != "updated_at"}
        self.defaults = {
            column.name: _NOTHING[column.kind] if column.special is None else column.special for column in own
        }

    def row(self, event: dict[str, Any], told: dict[str, Any]) -> Row:
        """The row of an event; columns at their default are left out."""
        columns = {name: event[name] for name in self.copied if name in event}
        columns |= self.said(told)
        return encode(self.name, columns | {"updated_at": event["created_at"]})

    def said(self, told: dict[str, Any]) -> dict[str, Any]:
        """Of what was told, the columns of this table that are not at their default."""
        defaults = self.defaults
        return {name: value for name, value in told.items() if name in defaults and value != defaults[name]}


def _read_of(column: Column) -> Read:
    return _BY_NAME.get(column.name, _text) if column.kind is Kind.TEXT else _BY_KIND[column.kind]


_STATE, _MESSAGE, _TRIAGE = _Form(MTHREADS), _Form(MSTORE), _Form(MTRIAGE)
_UNTOLD_TRIAGE = {"urgency": 8, "keep": True}
_STATE_ONLY = _STATE.reads.keys() - _MESSAGE.reads.keys()
_MESSAGE_ONLY = _MESSAGE.reads.keys() - _STATE.reads.keys() - {"mid"}
_TRIAGE_TOO = _MESSAGE_ONLY & _TRIAGE.reads.keys() | {"mtempl"}
_CARRIED = frozenset(_STATE.reads.keys() | _MESSAGE.reads.keys() - {"mid"})


class _Told(NamedTuple):
    """What was told about the columns of a form: those that could be kept, and the keys that did not fit."""

    columns: dict[str, Any]
    misfits: list[str]


def messaging_rows(values: Values, row: dict[str, Any], faults: list[str]) -> tuple[Row, ...]:
    """At most one row each of mthreads, mstore and mtriage, from an event's values and its own row.

    What does not fit its column is added to `faults` by reason; the event's row has kept it.
    """
    if _CARRIED.isdisjoint(values) or not ids.is_uuid(values.get("tid")):
        return ()
    state, message = _told(_STATE, values), _told(_MESSAGE, values)
    is_state, is_message = _kinds_of(_STATE.said(state.columns).keys(), _MESSAGE.said(message.columns).keys())
    rows = [_STATE.row(row, state.columns)] if is_state else []
    if is_message:
        rows += _message_rows(row, message.columns)
    _report(state.misfits, _STATE_ONLY, faults, all_of_them=is_state or not is_message)
    _report(message.misfits, _MESSAGE_ONLY, faults, all_of_them=is_message)
    return tuple(rows)


def _told(form: _Form, values: Values) -> _Told:
    told = _Told({}, [])
    for key, value in values.items():
        read = form.reads.get(key)
        if read is None or value is None or _is_blank(value):
            continue
        try:
            told.columns[key] = read(value)
        except coerce.Misfit as misfit:
            told.misfits.append(key)
            if misfit.kept:
                told.columns[key] = misfit.kept
    return told


def _is_blank(value: Any) -> bool:
    return type(value) is str and not value.replace("\x00", "").strip()


def _kinds_of(state: Set[str], message: Set[str]) -> tuple[bool, bool]:
    """Whether these columns tell a thread's state, and whether they make a message."""
    is_state = not _STATE_ONLY.isdisjoint(state)
    is_message = not _MESSAGE_ONLY.isdisjoint(message) or (not is_state and "mtempl" in message)
    return is_state or (not is_message and bool(state)), is_message


def _message_rows(row: dict[str, Any], told: dict[str, Any]) -> list[Row]:
    mid = told.get("mid", ZERO_UUID)
    told = told | {"mid": row["eid"] if mid == ZERO_UUID else mid}
    rows = [_MESSAGE.row(row, told)]
    if not _TRIAGE_TOO.isdisjoint(_MESSAGE.said(told)):
        rows.append(_TRIAGE.row(row, _UNTOLD_TRIAGE | told))
    return rows


def _report(misfits: list[str], own: Set[str], faults: list[str], *, all_of_them: bool) -> None:
    """Add misfits to the faults; `own` ones always, the others unless they concern the other form alone."""
    for key in misfits:
        fault = f"column_type:{key}"
        if fault not in faults and (all_of_them or key in own):
            faults.append(fault)
