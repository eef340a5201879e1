"""Log lines, updates, counts and organisations from trusted callers -> their rows; events take their own way.

An `eid` makes a repeat harmless here too: it is the log line's and the count's own id.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import orjson

from tracker.clock import date_text, timestamp_text
from tracker.errors import BadHit
from tracker.events import Row, Values
from tracker.steps import coerce, ids
from tracker.steps.draft import (
    Draft,
    Put,
    Rules,
    fill,
    finish_params,
    put_id,
    put_int32,
    put_nowhere,
    put_params,
    put_text,
)
from tracker.steps.hashes import iphash
from tracker.steps.hosts import origin_of
from tracker.steps.keys import any_case
from tracker.steps.rows import encode

_MOST_MILLISECONDS = coerce.MOST_NANOSECONDS // 10**6
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2148, 12, 31)
_ADDRESS_KEYS = any_case("ip", "auth")
_ORG_HOSTS = ("tracker_host", "default_destination_host")


class Record(NamedTuple):
    """One row that is no event."""

    id: str
    """The row's own id, hyphenated."""
    row: Row
    faults: tuple[str, ...]
    client_id: bytes | None
    """16 bytes of the id the caller chose, if it did."""


class RecordSettings(NamedTuple):
    """What records need to know of the configuration."""

    namespace: str
    keep_ip: bool
    ip_key: bytes = b""
    """That of `hashes.iphash`."""


def make_record(kind: str, values: Values, settings: RecordSettings, now: float) -> Record:
    """The record of a kind: log, update, count or org. Raises BadHit for any other, or without a name."""
    maker = _MAKERS.get(kind)
    if maker is None:
        raise BadHit(f"unknown kind {kind!r}: expected event, {', '.join(_MAKERS)}", "unknown_kind")
    return maker(values, settings, now)


def _log(values: Values, settings: RecordSettings, now: float) -> Record:
    """One log line. Its day is the one it names, else that of its time, else today."""
    rules = _log_rules(settings.namespace)
    own_id, client_id = _own_id(values, settings.namespace)
    draft = Draft({"id": own_id, "created_at": timestamp_text(now)})
    fill(draft, rules, {key: value for key, value in values.items() if value is not None or key not in rules})
    row = draft.row
    row.setdefault("ldate", min(row["ltime"][:10], f"{_LAST_DAY}") if "ltime" in row else date_text(now))
    if "ip" in row:
        row["iphash"] = iphash(row["ip"], settings.ip_key)
        if not settings.keep_ip:
            del row["ip"]
    finish_params(draft, _ADDRESS_KEYS)
    return Record(own_id, encode("logs", row), tuple(draft.faults), client_id)


def _log_rules(namespace: str) -> Rules:
    """What becomes of each key of a log line; other keys go into params."""
    texts = ("topic", "name", "host", "hostname", "org", "msg")
    rules: dict[str, tuple[str, Put]] = dict.fromkeys(_ADDRESS_KEYS | {"eid", "iphash"}, ("", put_nowhere))
    rules |= {name: (name, put_text) for name in texts}
    rules |= {name: (name, put_id(namespace)) for name in ("oid", "owner")}
    rules |= {"level": ("level", put_int32), "params": ("params", put_params), "ip": ("ip", _put_address)}
    return rules | {
        "ltimenss": ("ltime", _put_nanoseconds),
        "ldate": ("ldate", _put_date),
        "id": ("topic", _put_topic),
    }


def _put_address(draft: Draft, key: str, column: str, value: Any) -> None:
    if type(value) is str and value.strip():
        draft.row[column] = value.strip()


def _put_topic(draft: Draft, key: str, column: str, value: Any) -> None:
    """A line without a topic has its id's, whichever of both was named first."""
    if topic := coerce.text(value).strip():
        draft.row.setdefault(column, topic)


def _put_nanoseconds(draft: Draft, key: str, column: str, value: Any) -> None:
    second, rest = divmod(coerce.integer(value, 0, coerce.MOST_NANOSECONDS), 10**9)
    draft.row[column] = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}Z"


def _put_date(draft: Draft, key: str, column: str, value: Any) -> None:
    try:
        day = date.fromisoformat(coerce.text(value).strip()[:10])
    except ValueError as error:
        raise coerce.Misfit from error
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise coerce.Misfit
    draft.row[column] = day.isoformat()


def _update(values: Values, settings: RecordSettings, now: float) -> Record:
    """One update. `updated`, in milliseconds, says which one of an id is the latest; its default is now."""
    name = _name(values, "an update")
    own_id, client_id = _own_id(values, settings.namespace)
    columns = {"id": name, "updated_at": timestamp_text(now), "msg": _message(values.get("msg"))}
    faults: tuple[str, ...] = ()
    if values.get("updated") not in (None, ""):
        try:
            milliseconds = coerce.integer(values["updated"], 0, _MOST_MILLISECONDS)
        except coerce.Misfit:
            faults = ("column_type:updated_at",)
        else:
            # half a millisecond more, so that no rounding of the division ends below the right one
            columns["updated_at"] = timestamp_text((milliseconds + 0.5) / 1000)
    row = encode("updates", {column: value for column, value in columns.items() if value})
    return Record(own_id, row, faults, client_id)


def _count(values: Values, settings: RecordSettings, now: float) -> Record:
    """One thing counted today."""
    own_id, client_id = _own_id(values, settings.namespace)
    columns = {"id": _name(values, "a count"), "total": 1, "date": date_text(now), "cid": own_id}
    return Record(own_id, encode("counters", columns), (), client_id)


def _name(values: Values, what: str) -> str:
    sent = values.get("id")
    name = "" if sent is None or isinstance(sent, dict | list) else coerce.text(sent).strip()
    if not name:
        raise BadHit(f"{what} needs an id: a text that says what it is about", "missing_id")
    return name


def _message(sent: Any) -> str:
    """Text as sent; anything else as its JSON text, for an update has no params."""
    if sent is None or isinstance(sent, str):
        return sent or ""
    return orjson.dumps(sent).decode("utf-8")


def _own_id(values: Values, namespace: str) -> tuple[str, bytes | None]:
    """The record's id, and its bytes if the caller chose it."""
    draft = Draft({})
    fill(draft, {"eid": ("eid", put_id(namespace))}, {"eid": values.get("eid") or ""})
    chosen = draft.row.get("eid")
    return (chosen, ids.as_bytes(chosen)) if chosen else (ids.new_id(), None)


def _org(values: Values, settings: RecordSettings, now: float) -> Record:
    """What is known of an organisation from now on; paths of tracked links are below its destination host."""
    own_id, client_id = _own_id(values, settings.namespace)
    draft = Draft({})
    rules: Rules = {"oid": ("oid", put_id(settings.namespace)), "org": ("org", put_text)}
    fill(draft, rules, {key: values[key] for key in rules if values.get(key) is not None})
    if "oid" not in draft.row:
        raise BadHit("an org needs an oid: the organisation's id", "missing_id")
    hosts = {key: _origin(values, key) for key in _ORG_HOSTS if values.get(key) not in (None, "")}
    columns = {**draft.row, "ddata": hosts, "updated_at": timestamp_text(now)}
    row = encode("orgs", {column: value for column, value in columns.items() if value})
    return Record(own_id, row, tuple(draft.faults), client_id)


def _origin(values: Values, key: str) -> str:
    sent = values[key]
    if not isinstance(sent, str) or not origin_of(sent):
        raise BadHit(f"{key} must be a host, as https://shop.example or shop.example", "bad_host")
    return origin_of(sent)


_MAKERS: Mapping[str, Callable[[Values, RecordSettings, float], Record]] = {
    "log": _log,
    "update": _update,
    "count": _count,
    "org": _org,
}
