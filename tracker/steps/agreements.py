"""What a visitor agreed to -> two rows: the consent as it is now (`agreements`), and the ledger's (`agreed`).

Both are stored together or not at all. An agreement has no params, so what a field cannot hold is refused by
the field's name; a key that means nothing here is ignored. E-mail, phone and user name were taken out before.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from tracker.clock import timestamp_text
from tracker.errors import BadHit
from tracker.events import Place, Row, Values
from tracker.steps import coerce, ids
from tracker.steps.rows import encode
from tracker.steps.timezones import country_of
from tracker.steps.urls import Shorten
from tracker.tables import ZERO_UUID
from tracker.tables.people import AGREED, AGREEMENTS

NO_VISITOR = "User not provided"
MOST_PIXELS = 1_000_000
_SURROUNDING = ("hhash", "ip", "iphash", "browser", "bhash", "culture")
"""Columns of a request's surroundings that an agreement has too."""

_NOWHERE = Place()

Field = tuple[str, Callable[[Any], Any], str]
"""Column, what makes its value of a sent one (raises Misfit), and what was expected, in words."""


class Agreement(NamedTuple):
    """One consent, ready to be stored."""

    id: str
    """Of its line in the ledger."""
    visitor: str
    current: dict[str, Any]
    """The columns of its row in `agreements`, as every store gets them."""
    rows: tuple[Row, Row]
    client_id: bytes | None
    """16 bytes that stand for the client's own id of it: the same again is a retry."""


class AgreementRules:
    """Makes agreements; `namespace` is the UUID from which ids are made of texts."""

    def __init__(self, namespace: str, shorten: Shorten) -> None:
        self._namespace = namespace
        self._fields: Mapping[str, Field] = _fields(namespace, shorten)

    def make(
        self,
        values: Values,
        columns: Mapping[str, Any],
        place: Place | None,
        received_at: float,
        key: str = "",
    ) -> Agreement:
        """The agreement that `values` say, upon the `columns` of its surroundings and its address's place.

        `key` is the request's Idempotency-Key; an `id` or `eid` that was sent goes before it. Raises BadHit.
        """
        sent = {name.lower(): value for name, value in values.items() if value is not None}
        row = {name: columns[name] for name in _SURROUNDING if name in columns}
        for name, (column, convert, expected) in self._fields.items():
            if name in sent:
                _put(row, column, _converted(name, sent[name], convert, expected))
        if row.get("vid", ZERO_UUID) == ZERO_UUID:
            raise BadHit(NO_VISITOR, "missing_vid")
        _put_place(row, sent, place or _NOWHERE)
        row["created_at"] = row["updated_at"] = timestamp_text(received_at)
        return self._finished(row, _own_name(sent) or key.strip())

    def _finished(self, row: dict[str, Any], name: str) -> Agreement:
        own_id = self._ledger_id(row, name) if name else ids.new_id()
        current = encode(AGREEMENTS.name, row)
        ledger = encode(AGREED.name, {"id": own_id, **row})
        client_id = ids.as_bytes(own_id) if name else None
        return Agreement(own_id, row["vid"], orjson.loads(current.line), (current, ledger), client_id)

    def _ledger_id(self, row: Mapping[str, Any], name: str) -> str:
        """The same for a retry, another for another visitor: nobody can take the place of another's line."""
        return ids.named(f"agreed:{row.get('oid', ZERO_UUID)}:{row['vid']}:{name}", self._namespace)


def _fields(namespace: str, shorten: Shorten) -> dict[str, Field]:
    identifier = _identifier(namespace)
    fields: dict[str, Field] = {
        name: (name, identifier, "expected a UUID or a text that stands for one")
        for name in ("vid", "sid", "uid", "avid", "ref", "owner", "oid")
    }
    texts = ("app", "rel", "gaid", "idfa", "msid", "fbid", "culture", "source", "medium", "campaign", "term")
    for name in (*texts, "rcode", "aff", "device", "os", "tz", "zip", "org"):
        fields[name] = (name, _text, "expected text")
    fields["url"] = ("url", lambda value: shorten(_text(value)), "expected text")
    fields["cflags"] = ("cflags", _whole(-(2**63), 2**63 - 1), "expected a whole number of 64 bits")
    fields["compliances"] = ("compliances", coerce.opened, "expected an object")
    pixels = _whole(0, MOST_PIXELS), f"expected a whole number from 0 to {MOST_PIXELS}"
    return fields | {name: (f"vp_{name[-1]}", *pixels) for name in ("vp_w", "vp_h", "w", "h")}


def _converted(name: str, sent: Any, convert: Callable[[Any], Any], expected: str) -> Any:
    try:
        return convert(sent)
    except coerce.Misfit as error:
        raise BadHit(f"{name}: {expected}", "bad_field") from error


def _put(row: dict[str, Any], column: str, value: Any) -> None:
    """What is at its default is left out."""
    if value not in ("", 0, None, {}, ZERO_UUID):
        row[column] = value


def _put_place(row: dict[str, Any], sent: Values, place: Place) -> None:
    """Country: the zone's, else the address's, and what was said goes before both; likewise the others."""
    said = {
        name: _converted(name, sent.get(name, ""), _text, "expected text") for name in ("country", "region")
    }
    country = said["country"] or country_of(row.get("tz", "").lower()) or place.country
    _put(row, "country", country.upper())
    _put(row, "region", (said["region"] or place.region).lower())
    lat, lon = _degrees(sent, "lat", 90), _degrees(sent, "lon", 180)
    if (lat is None) != (lon is None):
        raise BadHit(f"{'lat' if lat is None else 'lon'}: latitude and longitude go together", "bad_field")
    for name, said_degrees, found in (("lat", lat, place.lat), ("lon", lon, place.lon)):
        _put(row, name, found if said_degrees is None else said_degrees)


def _degrees(sent: Values, name: str, most: int) -> float | None:
    """None when nothing was said."""
    if sent.get(name, "") == "":
        return None
    expected = f"expected degrees from -{most} to {most}"
    degrees = float(_converted(name, sent[name], coerce.real, expected))
    if not -most <= degrees <= most:
        raise BadHit(f"{name}: {expected}", "bad_field")
    return degrees


def _own_name(sent: Values) -> str:
    """The client's own id of this agreement, as text; '' for none."""
    for name in ("id", "eid"):
        if found := _converted(name, sent.get(name, ""), _text, "expected text"):
            return ids.parse(found) or found
    return ""


def _text(value: Any) -> str:
    return coerce.text(value).strip()


def _identifier(namespace: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if type(value) is bool:
            raise coerce.Misfit
        text = _text(value)
        return (ids.parse(text) or ids.named(text, namespace)) if text else ""

    return convert


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        number = coerce.integer(value, least, most)
        if type(value) is not int and coerce.real(value) != float(number):  # a fraction
            raise coerce.Misfit
        return number

    return convert
