"""An event's row without what identifies a person: what goes, what stays, and who the visitor is for a day.

What goes: the address and its hash, the user's, device's, referrer's and advertising ids, hashes of e-mail,
phone and user name, the place within a region, the time zone (it names a city), fingerprints, and in `params`
and `targets` every key that names such a thing and every value that looks like one. What stays: the event's
own id, name and time, page and page before without ids, campaign, country and region, language, size of the
window, the user agent's family, and params that say nothing of a person.
"""

import hmac
from functools import lru_cache
from typing import Any, Final, NamedTuple

from tracker.events import Envelope, Row, Values
from tracker.steps.hashes import agent_hash
from tracker.steps.impersonal import OF_PEOPLE, impersonal, is_document, says_who, without_ids
from tracker.steps.messaging import messaging_rows
from tracker.tables import EVENTS, Kind
from tracker.tables.threads import MTHREADS

_GO: Final = frozenset(
    {
        *("uid", "auth_id", "invoice_id", "device_id", "rid", "ref", "rcode", "mcid"),
        *("ip", "iphash", "ja4h", "browser", "bhash", "gaid", "idfa", "msid", "fbid"),
        *("lat", "lon", "zip", "city", "tz", "is_new"),
    }
)
"""Columns of an event that an anonymised one does not have."""
_OF_A_PAYER: Final = frozenset({"uid", "vid", "sid", "updater", "owner", "rcode"})
"""The same of a payment."""
_PAGES = ("url", "last")
_TEXTS = tuple(
    column.name
    for column in EVENTS.columns
    if column.kind is Kind.TEXT and column.name not in _GO and column.name not in {*_PAGES, "hhash"}
)
_DOCUMENTS = ("params", "targets")
_OF_THE_VISITOR = ("vid", "sid", "uid", "ref")

_FAMILIES = (
    ("bot", ("bot", "crawl", "spider", "slurp")),
    ("edge", ("edg/", "edge/", "edga/", "edgios/")),
    ("opera", ("opr/", "opera", "opios/")),
    ("samsung internet", ("samsungbrowser",)),
    ("yandex", ("yabrowser",)),
    ("vivaldi", ("vivaldi",)),
    ("uc browser", ("ucbrowser",)),
    ("duckduckgo", ("duckduckgo", "ddg/")),
    ("firefox", ("firefox/", "fxios/", "focus/")),
    ("chrome", ("chrome/", "crios/", "chromium/")),
    ("internet explorer", ("msie ", "trident/")),
    ("safari", ("safari/",)),
)
"""Family and the words that tell it, in the order in which they are asked: most browsers name others too."""


class DayVisitor(NamedTuple):
    """Who someone is for a day, as hyphenated UUIDs."""

    vid: str
    sid: str


def day_visitor(key: bytes, envelope: Envelope, sent_vid: str | None) -> DayVisitor | None:
    """The visitor that an event belongs to as long as `key` is known, and nobody afterwards.

    A browser is told by its address, user agent and host; what a server reports, by the visitor it names,
    and None when it names none.
    """
    if envelope.is_client or envelope.user_agent:
        said = "\0".join((envelope.host, envelope.ip, envelope.user_agent))
    elif sent_vid:
        said = f"vid\0{sent_vid}"
    else:
        return None
    return DayVisitor(_hashed(key, f"visitor\0{said}"), _hashed(key, f"session\0{said}"))


def _hashed(key: bytes, text: str) -> str:
    """A UUIDv8 of HMAC-SHA256."""
    digest = bytearray(hmac.digest(key, text.encode("utf-8", "replace"), "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    digits = digest.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def anonymise(row: dict[str, Any], ground: str) -> None:
    """Take what identifies a person out of an event's row, and say why; its visitor is the caller's."""
    family = family_of(row.get("browser", ""))
    for column in _GO.intersection(row):
        del row[column]
    if family:
        row |= {"browser": family, "bhash": agent_hash(family)}
    for page in _PAGES:
        if page in row:
            row[page] = without_ids(row[page])
    for column in _TEXTS:
        if column in row and says_who(row[column]):
            del row[column]
    for column in _DOCUMENTS:
        if column in row:
            _put_back(row, column, impersonal(row[column]))
    row["ground"] = ground


def anonymise_payment(row: dict[str, Any], ground: str) -> None:
    """Take who paid out of a payment's row, and say why; amounts, order and invoice stay."""
    for column in _OF_A_PAYER.intersection(row):
        del row[column]
    if "params" in row:
        _put_back(row, "params", impersonal(row["params"]))
    row["ground"] = ground


def _put_back(row: dict[str, Any], column: str, document: Any) -> None:
    if document:
        row[column] = document
    else:
        del row[column]


def thread_rows(values: Values, row: dict[str, Any], faults: list[str]) -> tuple[Row, ...]:
    """Of what an anonymised event carries, the state of its thread; messages and interests are a person's."""
    if "tid" not in row:
        return ()
    told = {key: _unsaid(value) for key, value in values.items() if key not in OF_PEOPLE}
    event = {name: value for name, value in row.items() if name not in _OF_THE_VISITOR}
    return tuple(carried for carried in messaging_rows(told, event, faults) if carried.table == MTHREADS.name)


def _unsaid(value: Any) -> Any:
    """Documents without persons, none where it is text of one; other values as they are."""
    if type(value) is str:
        return None if is_document(value) else value
    return impersonal(value) if type(value) in (dict, list) else value


@lru_cache(maxsize=1024)
def family_of(user_agent: str) -> str:
    """`chrome` of a user agent in lower case; `other` of one that is not known, '' of ''."""
    if not user_agent:
        return ""
    return next((name for name, words in _FAMILIES if any(word in user_agent for word in words)), "other")
