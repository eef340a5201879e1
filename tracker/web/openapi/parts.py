"""What the descriptions of routes share: schemas from the catalogue of tables, and the usual refusals."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from tracker.tables import EVENTS, Column, Kind, Table
from tracker.tables.links import REDIRECT_HISTORY
from tracker.tables.money import PAYMENTS
from tracker.tables.people import AGREEMENTS, JURISDICTIONS
from tracker.web.privacy_api import HIDDEN

Json = dict[str, Any]

TEXT = "text/plain"
JSON = "application/json"

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_COUNT = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "array", "items": _TEXT}
_STORED: Mapping[Kind, Json] = MappingProxyType(
    {
        **dict.fromkeys((Kind.TEXT, Kind.LABEL, Kind.DECIMAL), _TEXT),
        Kind.UUID: {"type": "string", "format": "uuid"},
        **dict.fromkeys((Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64), _WHOLE),
        **dict.fromkeys((Kind.UINT32, Kind.UINT64), _COUNT),
        Kind.FLOAT64: {"type": "number"},
        Kind.BOOL: {"type": "boolean"},
        **dict.fromkeys((Kind.TIMESTAMP, Kind.NANOTIME, Kind.DATE), _TEXT),
        Kind.JSON: {"type": "object"},
        **dict.fromkeys((Kind.TEXTS, Kind.UUIDS), _TEXTS),
    }
)
"""What a column of a kind is in an answer."""


def answered(table: Table, hidden: Iterable[str] = ()) -> Json:
    """A row as an answer has it, every column but the hidden ones."""
    told = [column for column in table.columns if column.name not in hidden]
    return {
        "type": "object",
        "description": table.meaning,
        "properties": {
            column.name: {**_STORED[column.kind], "description": column.meaning} for column in told
        },
        "required": [column.name for column in told],
        "additionalProperties": False,
    }


def taken(columns: Iterable[Column], meaning: str, **others: str) -> Json:
    """An object of which nothing is demanded: what its keys mean, of columns and of others."""
    told = {column.name: column.meaning for column in columns} | others
    return {
        "type": "object",
        "description": meaning,
        "properties": {name: {"description": text} for name, text in told.items()},
        "additionalProperties": True,
    }


def _list_of(name: str) -> Json:
    return {"type": "array", "items": reference(name)}


def reference(name: str, kind: str = "schemas") -> Json:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _object(meaning: str, **properties: Json) -> Json:
    return {
        "type": "object",
        "description": meaning,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_OURS = frozenset({"hhash", "iphash", "ip", "ja4h", "created_at", "updated_at", "is_client", "is_new"})

SCHEMAS: Mapping[str, Json] = MappingProxyType(
    {
        "Event": taken(
            (column for column in EVENTS.columns if column.name not in _OURS),
            "One event. Ids may be UUIDs of any form or any text; what no column holds is kept in params.",
            params="an object kept as sent, less what names a person",
            email="hashed before it is stored",
            cell="hashed before it is stored",
            uname="hashed before it is stored",
        ),
        "Events": {
            "oneOf": [
                {"type": "array", "items": reference("Event")},
                reference("Event"),
            ],
            "description": "One event, an array of them, {events: [...]}, or one in each line",
        },
        "Outcome": _object(
            "What became of several: bad ones are named, good ones are stored",
            accepted={"type": "integer", "minimum": 0},
            rejected={
                "type": "array",
                "items": _object(
                    "One that can never be stored",
                    index={"type": "integer", "minimum": 0},
                    reason={"type": "string"},
                ),
            },
        ),
        "Payment": taken(
            (column for column in PAYMENTS.columns if column.name not in _OURS),
            "One payment, or several in `payments` with what they share beside it. Amounts are decimals.",
            amt="revenue, if that is not named",
            payments="an array of payments",
        ),
        "Agreement": {
            **taken(
                (column for column in AGREEMENTS.columns if column.name not in {*_OURS, "browser", "bhash"}),
                "What a visitor agrees to. A field that does not fit is refused by its name.",
                id="of your own, so that a repeat is known",
                w="vp_w",
                h="vp_h",
            ),
            "required": ["vid"],
        },
        "AgreementNow": answered(AGREEMENTS, HIDDEN),
        "AgreementsNow": _list_of("AgreementNow"),
        "Jurisdictions": {"type": "array", "items": answered(JURISDICTIONS)},
        "Place": {
            "type": "object",
            "description": "Where an address is; what is unknown is left out",
            "properties": {
                **{name: {"type": "string"} for name in ("iso2", "country", "region", "city", "zip", "tz")},
                **{name: {"type": "number"} for name in ("lat", "lon")},
            },
            "additionalProperties": False,
        },
        "Link": {
            "type": "object",
            "description": "A short link",
            "properties": {
                "urlfrom": {"type": "string", "description": "its address: a host of yours and a path"},
                "urlto": {"type": "string", "description": "where it leads: http or https"},
                "searchto": {"type": "string"},
                "oid": {"type": "string", "description": "organisation"},
                "org": {"type": "string"},
            },
            "required": ["urlfrom", "urlto"],
            "additionalProperties": True,
        },
        "LinkHistory": _object(
            "Changes, newest first",
            results={"type": "array", "items": answered(REDIRECT_HISTORY)},
        ),
        "Status": {
            "type": "array",
            "items": _object("A fact", Key={"type": "string"}, Value={"type": ["string", "integer"]}),
        },
        "Gpc": _object(
            "Whether Global Privacy Control is abided by",
            gpc={"type": "boolean"},
            lastUpdate={"type": "string", "format": "date"},
        ),
        "Person": {
            "type": "object",
            "description": "Who is meant: one of vid, uid, email. Or a receipt, to learn how far it is",
            "properties": {
                **dict.fromkeys(("vid", "uid", "email", "oid", "receipt"), _TEXT),
                "keep": {**_TEXTS, "description": "tables whose rows stay"},
                "dry_run": {"type": "boolean"},
            },
        },
        "Anything": {"type": "object"},
    }
)


def _refusal(meaning: str, *, header: str = "", also_json: bool = False) -> Json:
    content: Json = {TEXT: {"schema": {"type": "string"}}}
    if also_json:
        content[JSON] = {"schema": reference("Outcome")}
    told: Json = {"description": meaning, "content": content}
    if header:
        told["headers"] = {header: {"schema": {"type": "string"}}}
    return told


REFUSALS: Mapping[int, Json] = MappingProxyType(
    {
        400: _refusal("This can never work; the body is the reason", also_json=True),
        401: _refusal("These credentials open nothing", header="WWW-Authenticate"),
        403: _refusal("Not for this account or address"),
        404: _refusal("Nothing is there"),
        405: _refusal("Another method", header="Allow"),
        408: _refusal("The body did not come in time"),
        413: _refusal("Larger than allowed"),
        415: _refusal("A Content-Encoding that is not known", header="Accept-Encoding"),
        429: _refusal("Too many attempts", header="Retry-After"),
        431: _refusal("The head is larger than allowed"),
        503: _refusal("Not now", header="Retry-After"),
    }
)
"""Status to what it says, the same on every route."""

SECURITY: Mapping[str, Json] = MappingProxyType(
    {
        "basic": {"type": "http", "scheme": "basic", "description": "an account's uid and password"},
        "bearer": {"type": "http", "scheme": "bearer", "description": "the same, uid:password in base64url"},
    }
)
