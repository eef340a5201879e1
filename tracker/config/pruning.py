"""What must hold of `Notify[].Prune[]` for a store to be able to do it."""

import re
import uuid
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tracker.config.keys import Place
from tracker.config.nearest import nearest
from tracker.config.services import Prune, PruneField, Service
from tracker.tables import CATALOGUE, VIEWS, Kind, Table

Problem = tuple[Place, str]

TIMES = ("created_at", "updated_at", "date")
"""A table has an age by one of these columns."""
ORDERED_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "agreed": ("vid",),
        "counters": ("id",),
        "mstore": ("tid", "mid"),
        "mthreads": ("tid",),
        "mtriage": ("tid", "mid"),
        "redirect_history": ("urlfrom",),
        "visitor_interests": ("vid",),
    }
)
"""Columns, beside a table's key, times and oid, by which ClickHouse orders its rows: they cannot change."""

_MADE_OF = {"ltv": "payments", "ltvu": "payments", "ltvv": "payments"}
_HASH_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_WHOLE = {
    Kind.INT8: 2**7,
    Kind.INT16: 2**15,
    Kind.INT32: 2**31,
    Kind.INT64: 2**63,
}


def of_service(service: Service, place: Place) -> Iterator[Problem]:
    """Everything that is wrong with what one store is to prune."""
    for number, prune in enumerate(service.prune):
        yield from _of_entry(prune, (*place, "Prune", number))


def _of_entry(prune: Prune, place: Place) -> Iterator[Problem]:
    table = CATALOGUE.get(prune.table)
    if table is None:
        yield (*place, "Table"), _no_table(prune.table)
        return
    if not any(name in table.kinds() for name in TIMES):
        yield (*place, "Table"), f"the rows of {table.name} have no time: they do not age"
        return
    if prune.ttl_seconds < 1:
        yield (*place, "TTL"), 'expected an age of at least a second, such as 7776000 or "90d"'
    yield from _of_cflags(prune, table, place)
    yield from _of_params(prune, table, place)
    for number, field in enumerate(prune.fields_):
        yield from _of_field(field, table, (*place, "Fields", number))


def _no_table(name: str) -> str:
    if name in VIEWS:
        made_of = _MADE_OF.get(name, "events")
        return f"{name} is a view and holds no rows; name the table it is made of: {made_of}"
    if not name:
        return "missing: the table that is pruned"
    close = nearest(name, CATALOGUE)
    return f"there is no table {name!a}" + (f"; did you mean {close}?" if close else "")


def _of_cflags(prune: Prune, table: Table, place: Place) -> Iterator[Problem]:
    if prune.cflags_ignore and "cflags" not in table.kinds():
        yield (*place, "CFlagsIgnore"), f"{table.name} has no cflags"
    if any(not 0 <= bits < 2**63 for bits in prune.cflags_ignore):
        yield (*place, "CFlagsIgnore"), "expected bit masks from 0 to 9223372036854775807"


def _of_params(prune: Prune, table: Table, place: Place) -> Iterator[Problem]:
    empties = bool(prune.fields_) or prune.clear_params or prune.clear_numeric_params
    if prune.clear_all and empties:
        yield (*place, "ClearAll"), "true: the row goes; nothing else can be cleared"
    if not prune.clear_all and not empties:
        yield place, "nothing is pruned: expected ClearAll, Fields, ClearParams or ClearNumericParams"
    hashes = any(field.dest_param_hash for field in prune.fields_)
    if (prune.clear_params or prune.clear_numeric_params or hashes) and "params" not in table.kinds():
        yield place, f"{table.name} has no params to clear or to keep hashes in"


def _of_field(field: PruneField, table: Table, place: Place) -> Iterator[Problem]:
    kind = table.kinds().get(field.id)
    if kind is None:
        close = nearest(field.id, table.kinds())
        yield (*place, "Id"), f"{table.name} has no column {field.id!a}" + (f"; {close}?" if close else "")
        return
    if field.id == "params":
        yield (*place, "Id"), "params is emptied by ClearParams"
    if field.id in unchangeable(table):
        yield (*place, "Id"), f"{field.id} says which row of {table.name} it is: it cannot be emptied"
    if field.default is not None and not _fits(kind, field.default):
        yield (*place, "Default"), f"expected what a column of the kind {kind} holds, or none"
    if field.dest_param_hash and not _HASH_KEY.fullmatch(field.dest_param_hash):
        yield (*place, "DestParamHash"), "expected a key of letters, digits and _"


def unchangeable(table: Table) -> frozenset[str]:
    """Columns that make a row what it is, or say where a store keeps it."""
    version = (table.version,) if table.version else ()
    return frozenset((*table.key, *version, *TIMES, "oid", *ORDERED_BY.get(table.name, ())))


def _fits(kind: Kind, value: Any) -> bool:
    if kind in (Kind.TEXT, Kind.LABEL):
        return isinstance(value, str) and _is_text(value)
    if kind is Kind.BOOL:
        return isinstance(value, bool)
    if kind is Kind.UUID:
        return isinstance(value, str) and _is_uuid(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind is Kind.FLOAT64:
        return True
    return kind in _WHOLE and isinstance(value, int) and -_WHOLE[kind] <= value < _WHOLE[kind]


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _is_uuid(value: str) -> bool:
    try:
        return str(uuid.UUID(value)) == value
    except ValueError:
        return False
