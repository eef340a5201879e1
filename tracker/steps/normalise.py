"""An event's values -> its row: every key to its column in that column's form, everything else into params.

Values were merged and freed of private keys before; ids that are missing are made afterwards.
"""

from typing import Any

from tracker.events import Envelope, Values
from tracker.steps import coerce
from tracker.steps.draft import (
    Draft,
    Put,
    Rules,
    also_extra,
    fill,
    finish_params,
    put_dimension,
    put_document,
    put_id,
    put_int32,
    put_int64,
    put_nowhere,
    put_params,
    put_real,
    put_text,
    put_upper,
)
from tracker.steps.keys import COLUMN_OF, IDS, NOT_IN_PARAMS, OURS, PARAMS_REFUSE
from tracker.steps.urls import Shorten, is_own_route
from tracker.tables import EVENTS, Kind

_PUT_BY_KIND: dict[Kind, Put] = {
    Kind.TEXT: put_dimension,
    Kind.LABEL: put_dimension,
    Kind.INT32: put_int32,
    Kind.INT64: put_int64,
    Kind.FLOAT64: put_real,
    Kind.JSON: put_document,
}


def event_rules(namespace: str, shorten: Shorten) -> Rules:
    """What becomes of each key of an event; a key without a rule goes into params."""
    rules: dict[str, tuple[str, Put]] = dict.fromkeys(NOT_IN_PARAMS, ("", put_nowhere))
    for name, kind in EVENTS.kinds().items():
        if name not in OURS and kind in _PUT_BY_KIND:
            rules[name] = (name, _PUT_BY_KIND[kind])
    rules |= {key: (column, rules[column][1]) for key, column in COLUMN_OF.items() if column in rules}
    rules |= {key: (column, put_id(namespace)) for key, column in IDS.items()}
    rules |= {name: (name, _put_address(shorten)) for name in ("url", "last")}
    rules |= {
        "country": ("country", put_upper),
        "bhash": ("bhash", put_text),
        "params": ("params", put_params),
    }
    rules |= {"lat": ("", put_nowhere), "lon": ("", put_nowhere)}  # only together: see `_put_place`
    return {
        key: rule if key in NOT_IN_PARAMS else (rule[0], also_extra(rule[1])) for key, rule in rules.items()
    }


def event_draft(
    values: Values, envelope: Envelope, columns: dict[str, Any], rules: Rules, shorten: Shorten
) -> Draft:
    """One event's row without ids, time and place, upon `columns` that its surroundings filled."""
    draft = Draft(columns, {}, {}, [])
    fill(draft, rules, values)
    row = draft.row
    if "lat" in values or "lon" in values:
        _put_place(draft, values)
    if "url" not in values and envelope.uri and not is_own_route(envelope.uri):
        row["url"] = shorten(envelope.uri)
    finish_params(draft, PARAMS_REFUSE)
    return draft


def _put_address(shorten: Shorten) -> Put:
    def put(draft: Draft, key: str, column: str, value: Any) -> None:
        if kept := shorten(value if type(value) is str else coerce.text(value)):
            draft.row[column] = kept

    return put


def _put_place(draft: Draft, values: Values) -> None:
    """Latitude and longitude, both or none: half a place goes into params like any misfit."""
    sent = {key: values[key] for key in ("lat", "lon") if values.get(key, "") != ""}
    place: dict[str, float] = {}
    for key, value in sent.items():
        try:
            place[key] = coerce.real(value)
        except coerce.Misfit:
            draft.faults.append(f"column_type:{key}")
    if len(place) == 2:
        draft.row.update({key: number for key, number in place.items() if number})
        return
    draft.params.update(sent)
    if len(sent) == 1 and place:
        draft.faults.append(f"column_type:{next(iter(sent))}")
