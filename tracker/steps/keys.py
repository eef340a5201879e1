"""Which keys of an event mean something: columns, what never reaches params, what identifies a person.

The lists are those of the original's clean-up at write time; the columns come from the catalogue.
"""

from itertools import product

from tracker.tables import EVENTS, Kind
from tracker.tables.messages import MSTORE
from tracker.tables.threads import MTHREADS

COLUMN_OF = {"did": "device_id", "w": "vp_w", "h": "vp_h"}
"""Keys that are called otherwise than their column."""

OURS = frozenset({"hhash", "iphash", "ip", "ja4h", "created_at", "is_client", "is_new", "ground"})
"""Columns that only the collector fills."""

NOT_IN_PARAMS = frozenset(
    {
        *("eid", "vid", "sid", "uid", "did", "rid", "ref", "auth_id", "app", "rel", "ptyp", "xid", "split"),
        *("ename", "etyp", "source", "medium", "campaign", "content", "term", "sink", "relation", "aff"),
        *("arm_id", "mcid", "device", "os", "url", "last", "lat", "lon", "country", "region", "city", "zip"),
        *("gaid", "idfa", "msid", "fbid", "culture", "rcode", "browser", "tz", "cflags", "duration", "ver"),
        *("score", "w", "h", "params", "targets", "hhash", "iphash", "bhash", "chash", "ehash", "ip"),
        *("cell", "email", "uname", "auth", "jwt", "acct", "first", "uri", "tr", "time", "created", "latlon"),
        *("vp", "v1"),
    }
)
"""What is removed from the top level of params: columns and identifying keys. Columns that are missing here
(oid, org, tid, invoice_id, outcome, ...) stay in params beside their column, as the original leaves them."""


def any_case(*words: str) -> frozenset[str]:
    """Every way to write the words in upper and lower case: lets one set operation check a whole object."""
    return frozenset(
        "".join(letters)
        for word in words
        for letters in product(*zip(word.lower(), word.upper(), strict=True))
    )


HASHED = ("email", "cell", "uname")
"""Keys whose values name a person; only their hashes are kept."""

PRIVATE = any_case(*HASHED, "jwt")
"""Removed at any depth, however they are written."""

PARAMS_REFUSE = NOT_IN_PARAMS | any_case("ip", "auth")
"""Removed from the top level of params; an address or a token also when it is written otherwise."""

IDS = {
    column.name: column.name
    for column in EVENTS.columns
    if column.kind is Kind.UUID and column.name != "device_id"
} | {"device_id": "device_id", "did": "device_id"}
"""Key to column of every id that a client may send."""

KNOWN = (
    frozenset(column.name for column in EVENTS.columns)
    | NOT_IN_PARAMS
    | frozenset(COLUMN_OF)
    | frozenset({"uhash"})
)
"""Keys that are recognised in any case."""

CARRIED_DOCUMENTS = frozenset(
    column.name for table in (MTHREADS, MSTORE) for column in table.columns if column.kind is Kind.JSON
) | {"data"}
"""Keys under which an event of a thread may carry a document, also as JSON text."""
