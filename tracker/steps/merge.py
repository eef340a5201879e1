"""What was said in several places about one event -> one mapping; their meaning is `normalise`'s business.

Later wins: `User` header, cookies, path pairs, then a WebSocket's message, then query or body. Keys that mean
something are lower case afterwards, all others stay as they were sent.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tracker.errors import BadHit
from tracker.events import Envelope, Values
from tracker.steps.json_input import loads
from tracker.steps.keys import KNOWN

_VERSION = re.compile(r"v[0-9]+").fullmatch
_HEADER_DEPTH = 64


@dataclass(frozen=True, slots=True)
class CookieNames:
    """What the cookies that are read are called; the cookie `jwt` is none of them."""

    vid: str = "vid"
    sid: str = "sid"
    consent: str = "CookieConsent"
    ehash: str = "ehash"
    ref: str = "ref"
    xid: str = "xid"


def canonical(key: str) -> str:
    """The key in lower case if that is a known key, else the key as it was sent."""
    lower = key.lower()
    return lower if lower in KNOWN else key


def merge(*layers: Mapping[str, Any]) -> Values:
    """All layers as one new mapping, keys canonical; later wins. A null under a known key says nothing."""
    merged: Values = {}
    for layer in layers:
        if KNOWN.issuperset(layer) and None not in layer.values():  # most events, at a third of the cost
            merged.update(layer)
            continue
        for key, value in layer.items():
            if key not in KNOWN:
                lower = key.lower()
                if lower not in KNOWN:
                    merged[key] = value
                    continue
                key = lower
            if value is not None:
                merged[key] = value
    return merged


def message_over(base: Values, message: Mapping[str, Any]) -> Values:
    """`message` laid over `base`: two objects under a key are merged, one level deep."""
    merged = dict(base)
    for key, value in merge(message).items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = {**below, **value}
        merged[key] = value
    return merged


def gather(envelope: Envelope, body: Mapping[str, Any]) -> Values:
    """Everything said about one event, as a new mapping. `content` without `ename` is the event's name."""
    if envelope.route == "ws":
        values = merge(message_over(envelope.base, body), envelope.query)
    elif envelope.base or envelope.query:
        values = merge(envelope.base, body, envelope.query)
    else:
        values = merge(body)
    if (
        "content" in values
        and isinstance(values["content"], str)
        and not isinstance(values.get("ename"), str)
    ):
        values["ename"] = values.pop("content")
    return values


def header_values(user_header: str | None) -> Values:
    """The `User` header's JSON object; {} when there is none or it is anything else."""
    if not user_header:
        return {}
    try:
        values = loads(user_header, _HEADER_DEPTH)
    except BadHit:  # the header is optional: what cannot be read says nothing
        return {}
    return merge(values) if isinstance(values, dict) else {}


def cookie_values(cookies: Mapping[str, str], names: CookieNames) -> Values:
    """What the cookies say, as vid, cflags (int), ehash, sid, ref and xid; empty ones say nothing."""
    values: Values = {
        key: sent
        for key, name in (
            ("vid", names.vid),
            ("ehash", names.ehash),
            ("sid", names.sid),
            ("ref", names.ref),
            ("xid", names.xid),
        )
        if (sent := cookies.get(name))
    }
    consent = cookies.get(names.consent, "").strip()
    if consent.isascii() and consent.removeprefix("-").isdigit() and len(consent) <= 20:
        values["cflags"] = int(consent)
    return values


def path_values(path: str) -> Values:
    """Key/value pairs of a decoded path, from its second segment on: `/tr/v1/tr/vid/abc` -> {"vid": "abc"}.

    The pair of version and route is no value; an odd segment at the end and empty keys are dropped.
    """
    parts = path.split("/")
    if len(parts) < 4:
        return {}
    first = 4 if parts[1] == "tr" and _VERSION(parts[2]) else 2
    return merge(
        {key: value for key, value in zip(parts[first::2], parts[first + 1 :: 2], strict=False) if key}
    )


def query_values(pairs: Iterable[tuple[str, str]], ignore_key: str) -> Values:
    """A query's values, the first of each key; {} when `ignore_key` is not empty and among the keys.

    `utm_` inside a key is left out when what remains is a known key: `utm_source` -> `source`.
    """
    values: Values = {}
    for key, value in pairs:
        if ignore_key and key == ignore_key:
            return {}
        values.setdefault(_query_key(key), value)
    return values


def _query_key(key: str) -> str:
    without = key.lower().replace("utm_", "")
    return without if without in KNOWN else key
