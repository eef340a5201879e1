"""What each route takes and answers, in words and schemas; the one place where a new route is described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracker.web.openapi.parts import JSON, TEXT, Json, reference

ALWAYS = frozenset({400, 405, 431, 503})
"""A request without Host, an unknown method, a head that is too large, too many connections."""
BODY = frozenset({408, 413, 415})
ACCOUNT = frozenset({401, 403, 429})

VID = "5f0c1c9e-3e0a-4b7e-9d5a-0a6d2f0b8c11"
HEADER: tuple[Json, ...] = ({"basic": []}, {"bearer": []})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    route: str
    """The route's name, as metrics have it; of a route with actions, `name/action`."""
    method: str
    path: str
    """Below / ; `{v}` is the version."""
    meaning: str
    content: Mapping[str, Json | None] = field(default_factory=dict)
    """What 200 carries, by media type; empty: no body."""
    refusals: frozenset[int] = frozenset()
    """Beside those that every route has."""
    parameters: Sequence[Json] = ()
    body: str = ""
    """Name of the schema of its body."""
    example: Any = None
    """A body that works."""
    status: int = 200
    security: Sequence[Json] = ()
    is_old: bool = False
    """There is a better way to say it."""
    special: Mapping[int, Json] = field(default_factory=dict)
    """Refusals that say it in their own way."""


def _query(name: str, meaning: str, example: str = "", *, required: bool = False) -> Json:
    told: Json = {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
    return told | ({"example": example} if example else {}) | ({"required": True} if required else {})


def _path(name: str, meaning: str, example: str) -> Json:
    schema = {"type": "string", "minLength": 1}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": meaning,
        "schema": schema,
        "example": example,
    }


def _values(example: Json) -> Json:
    """Any keys of an event in the query."""
    return {
        "name": "values",
        "in": "query",
        "description": "keys of an event and their values; also as pairs of the path: /vid/a/ename/b",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        "example": example,
    }


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the same key again is a repeat, not a second one",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_OUTCOME = {JSON: reference("Outcome")}
_STR = {JSON: {"oneOf": [{"type": "string", "format": "uuid"}, reference("Outcome")]}}
_PIXEL = {"image/gif": {"type": "string", "contentMediaType": "image/gif"}}
_WORD = {TEXT: {"type": "string"}}
_OBJECT = {JSON: reference("Anything")}
_VIEW = {"vid": VID, "ename": "page_view", "etyp": "view"}
_TARGET = _query("url", "where to", "https://example.com/", required=False)
_CREDENTIALS = (_path("uid", "account", VID), _path("password", "its password", "secret-word"))
_LINK = {"urlfrom": "https://yourdomain.com/short", "urlto": "https://example.com/long?utm_source=test"}
_HOST = _path("host", "host of the links", "yourdomain.com")
_SLUG = _query("slugfrom", "only this link's path")
_LISTED = {JSON: reference("LinkHistory")}
_OPEN: Json = {"description": "Not done yet: the receipt", "content": {JSON: {"schema": _OBJECT[JSON]}}}
_NO_RECEIPT: Json = {"description": "No such receipt", "content": {JSON: {"schema": _OBJECT[JSON]}}}
_NO_VISITOR: Json = {
    "description": "No visitor is named",
    "content": {JSON: {"schema": {"type": "array", "maxItems": 0}}},
}

TRACKING = (
    Operation(
        "tr",
        "get",
        "tr/{v}/tr/",
        "An event of a browser or app, in the query",
        {},
        parameters=[_values(_VIEW)],
    ),
    Operation(
        "tr",
        "post",
        "tr/{v}/tr/",
        "One event (answered without a body) or several (by how many were taken); stored when answered",
        _OUTCOME,
        BODY,
        body="Events",
        example=_VIEW,
    ),
    Operation(
        "str",
        "get",
        "tr/{v}/str/",
        "An event that a server reports, in the query; answers its id",
        _STR,
        parameters=[_values(_VIEW)],
    ),
    Operation(
        "str",
        "post",
        "tr/{v}/str/",
        "The same as a body; several are answered by how many were taken",
        _STR,
        BODY,
        body="Events",
        example={**_VIEW, "oid": "org-id", "revenue": "99.99"},
    ),
    Operation(
        "img",
        "get",
        "tr/{v}/img/",
        "An event, answered by a transparent pixel",
        _PIXEL,
        parameters=[_values(_VIEW)],
    ),
    Operation(
        "img", "post", "tr/{v}/img/", "The same with a body", _PIXEL, BODY, body="Events", example=_VIEW
    ),
    *(
        Operation(
            route,
            method,
            f"tr/{{v}}/{route}/",
            f"On to the target, and an event {whose}; hosts must be allowed (RedirectHosts, Domains)",
            {},
            BODY if method == "post" else frozenset(),
            [_TARGET],
            body="Event" if method == "post" else "",
            example=_VIEW if method == "post" else None,
            status=302,
        )
        for route, whose in (("rdr", "about it"), ("xrdr", "of the browser"))
        for method in ("get", "post")
    ),
    Operation(
        "pub",
        "get",
        "tr/{v}/pub/{file}",
        "A file of StaticDirectory, and an event about it",
        {"*/*": None},
        frozenset({404}),
        [_path("file", "its path", "track_url.html")],
    ),
    Operation(
        "ws",
        "get",
        "tr/{v}/ws",
        "A stream of events over a WebSocket, one JSON object a frame",
        {},
        parameters=[_query("ack", "1: every frame is answered once it is stored")],
        status=101,
    ),
)

MONEY = (
    Operation(
        "ltv",
        "get",
        "tr/{v}/ltv/",
        "A payment, in the query",
        {},
        parameters=[
            _values({"vid": "user-id", "amt": "99.99", "currency": "USD", "orid": "order-123"}),
            _KEY,
        ],
    ),
    Operation(
        "ltv",
        "post",
        "tr/{v}/ltv/",
        "A payment (answered without a body), or several in `payments` (answered by how many were taken)",
        _OUTCOME,
        BODY,
        [_KEY],
        "Payment",
        {
            "vid": "user-id",
            "uid": "user-123",
            "oid": "org-id",
            "amt": 99.99,
            "currency": "USD",
            "orid": "order-123",
        },
    ),
)

PRIVACY = (
    Operation(
        "ppi/agree",
        "get",
        "tr/{v}/ppi/agree",
        "What a visitor agreed to, for each organisation, as it is now",
        {JSON: reference("AgreementsNow")},
        special={404: _NO_VISITOR},
        parameters=[
            _query("vid", "the visitor; else the cookie's", "user-id"),
            _query("oid", "only for this organisation"),
        ],
    ),
    Operation(
        "ppi/agree",
        "post",
        "tr/{v}/ppi/agree",
        "What a visitor agrees to: the current consent and a line of the ledger",
        {},
        BODY,
        [_KEY],
        "Agreement",
        {"vid": "user-id", "cflags": 1024, "tz": "America/Los_Angeles", "lat": 37.7749, "lon": -122.4194},
    ),
    Operation(
        "ppi/jds",
        "get",
        "tr/{v}/ppi/jds",
        "Rules of consent and where they hold",
        {JSON: reference("Jurisdictions")},
    ),
    Operation(
        "ppi/geoip",
        "get",
        "tr/{v}/ppi/geoip",
        "Where the caller's address is; another's needs an account",
        {JSON: reference("Place")},
        ACCOUNT,
        [_query("ip", "an address")],
        security=({}, *HEADER),
    ),
)

PERSONS = (
    Operation(
        "ppi/forget",
        "post",
        "tr/{v}/ppi/forget",
        "Erase a person everywhere, for administrators; 202 while the receipt is open",
        _OBJECT,
        BODY | ACCOUNT,
        body="Person",
        example={"vid": "user-id", "dry_run": True},
        security=HEADER,
        special={202: _OPEN, 404: _NO_RECEIPT},
    ),
    Operation(
        "ppi/export",
        "post",
        "tr/{v}/ppi/export",
        "Everything that is known of a person as lines of JSON, for administrators",
        {"application/x-ndjson": {"type": "string"}},
        BODY | ACCOUNT,
        body="Person",
        example={"vid": "user-id"},
        security=HEADER,
    ),
)

LINKS = (
    Operation(
        "rpi",
        "post",
        "tr/{v}/rpi/redirect",
        "Make a short link, or change it",
        {},
        BODY | ACCOUNT,
        body="Link",
        example=_LINK,
        security=HEADER,
    ),
    Operation(
        "rpi",
        "post",
        "tr/{v}/rpi/redirect/{uid}/{password}",
        "The same with credentials in the path, as old clients send them",
        {},
        BODY | ACCOUNT,
        _CREDENTIALS,
        "Link",
        _LINK,
        is_old=True,
    ),
    Operation(
        "rpi",
        "get",
        "tr/{v}/rpi/redirects/{host}",
        "What was made of a host's links, newest first, at most a thousand changes",
        _LISTED,
        ACCOUNT,
        [_HOST, _SLUG],
        security=HEADER,
    ),
    Operation(
        "rpi",
        "get",
        "tr/{v}/rpi/redirects/{uid}/{password}/{host}",
        "The same with credentials in the path, as old clients send them",
        _LISTED,
        ACCOUNT,
        [*_CREDENTIALS, _HOST, _SLUG],
        is_old=True,
    ),
    Operation(
        "link",
        "get",
        "{short}",
        "Follow the short link that the host asked has at this path",
        {},
        frozenset({404}),
        [_path("short", "its path", "short")],
        status=302,
    ),
)

OPERATIONS = (
    Operation("ping", "get", "ping", "Whether anybody answers", _WORD),
    Operation("livez", "get", "livez", "Whether the process lives", _WORD),
    Operation("healthz", "get", "healthz", "As livez", _WORD),
    Operation("readyz", "get", "readyz", "Whether events can be accepted; 503 says why not", _OBJECT),
    Operation("health", "get", "health", "How the collector is", _OBJECT),
    Operation("sink-health", "get", "sink-health", "How each store is", _OBJECT),
    Operation(
        "status",
        "get",
        "status",
        "The caller's address and the requests under way",
        {JSON: reference("Status")},
    ),
    Operation("clear", "get", "clear", "Have the browser forget what this site stored", _WORD),
    Operation(
        "metrics",
        "get",
        "metrics",
        "The metrics, to Admin.MetricsFrom: JSON, or Prometheus' text when Accept names text",
        {**_OBJECT, **_WORD, "application/openmetrics-text": {"type": "string"}},
        frozenset({403}),
        [_query("format", "json or prometheus, whatever Accept says")],
    ),
    Operation(
        "gpc.json",
        "get",
        ".well-known/gpc.json",
        "Whether Global Privacy Control is abided by",
        {JSON: reference("Gpc")},
    ),
    Operation("openapi.json", "get", "openapi.json", "This description", _OBJECT),
)

ALL = (*TRACKING, *MONEY, *PRIVACY, *PERSONS, *LINKS, *OPERATIONS)
"""Every operation; HEAD is answered as GET is, OPTIONS everywhere."""
