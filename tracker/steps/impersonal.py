"""What in texts and documents names a person: keys that say so, and values that look like it.

Texts are judged by their look: whoever sends a name or a remark under a key of their own choice sends it.
"""

import re
from functools import lru_cache
from typing import Any

OF_PEOPLE = frozenset(
    {
        *("updater", "owner", "sent", "outs", "subs", "pubs", "vid_targets", "users", "deliveries"),
        *("failures", "subject", "msg", "mtempl", "repl", "text_normalized", "text_tokens", "message"),
        *("comment", "feedback"),
    }
)
"""Keys under which threads and messages list people, and what they tell each other."""
MOST_TEXT = 256
"""Longer texts may say anything, so they go."""
_MOST_SEGMENT = 128
_MOST_NUMBER = 10**9
_is_mail = re.compile(r"[^\s@]@[^\s@]").search
_is_ipv6 = re.compile(r"(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]|::[0-9a-f]", re.IGNORECASE).search
_is_uuid = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE).search
_is_number_of_someone = re.compile(
    r"[0-9]{9}"  # phones, counters of clients
    r"|\+[0-9][0-9 ().-]{6,}[0-9]"  # phones
    r"|(?<![0-9])(?:[0-9]{1,3}\.){3}[0-9]"  # IPv4
).search
_has_digit = re.compile(r"[0-9]").search
_has_letter = re.compile(r"[A-Za-z]").search
_long_words_of = re.compile(r"[0-9A-Za-z_]{24,}").findall
_is_long_number = re.compile(r"[0-9]{5,}").fullmatch
_words_of = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+").findall

_PERSONAL_WORDS = frozenset(
    {
        *("email", "mail", "phone", "mobile", "cell", "tel", "telephone", "fax", "address", "street", "zip"),
        *("postcode", "postal", "plz", "city", "latitude", "longitude", "lat", "lon", "lng", "coords", "ip"),
        *("coordinates", "password", "passwd", "pwd", "secret", "token", "jwt", "auth", "cookie", "hash"),
        *("fingerprint", "ssn", "iban", "dob", "birthday", "birthdate", "firstname", "lastname", "surname"),
        *("fullname", "username", "uname", "nickname", "login", "signature", "referrer", "referer"),
    }
)
"""A key with such a word says something of a person."""
_PERSONAL_KEYS = OF_PEOPLE | frozenset(
    {
        *("user", "customer", "client", "visitor", "person", "account", "member", "contact", "name"),
        *("eid", "vid", "sid", "uid", "did", "rid", "ref", "rcode", "session", "device_id", "latlon", "tz"),
        *("gclid", "fbclid", "msclkid", "wbraid", "gbraid", "dclid", "ttclid", "fbc", "fbp", "ga", "geo"),
        *(
            "location",
            "position",
            "gaid",
            "idfa",
            "msid",
            "fbid",
            "mcid",
            "ehash",
            "chash",
            "uhash",
            "timezone",
        ),
    }
)
_NAMED = frozenset({"user", "first", "last", "full", "given", "family", "middle", "customer", "display"})


def without_ids(page: str) -> str:
    """An address as url and last hold it, with `*` for each part of its path that may be someone's id."""
    address = re.split("[?#;]", page, maxsplit=1)[0]
    start, host = "", ""
    if address.startswith("//"):
        start = "//"
        host, slash, address = address[2:].partition("/")
        host = host.rpartition("@")[2] + slash
    return start + host + "/".join("*" if _is_an_id(part) else part for part in address.split("/"))


def _is_an_id(part: str) -> bool:
    return len(part) > _MOST_SEGMENT or _is_long_number(part) is not None or _names_someone(part)


def impersonal(value: Any) -> Any:
    """A value of a document without what names a person, at any depth; None when nothing is left.

    Objects and arrays are made anew, never changed.
    """
    if type(value) is dict:
        kept = {key: impersonal(item) for key, item in value.items() if not is_personal(key)}
        return {key: item for key, item in kept.items() if item is not None} or None
    if type(value) is list:
        return [item for item in map(impersonal, value) if item is not None] or None
    if type(value) is str:
        return None if is_document(value) or says_who(value) else value
    if type(value) is int and abs(value) >= _MOST_NUMBER:
        return None
    return value


def _names_someone(text: str) -> bool:
    """Whether an e-mail or other address, UUID, phone number or token stands in it."""
    if ("@" in text and _is_mail(text)) or "%40" in text or (":" in text and _is_ipv6(text)):
        return True
    if not _has_digit(text):
        return False
    return bool(
        _is_number_of_someone(text)
        or ("-" in text and _is_uuid(text))
        or any(_has_digit(word) and _has_letter(word) for word in _long_words_of(text))
    )


def is_document(text: str) -> bool:
    """Whether a text may be JSON of an object or array, whose keys nobody has looked at."""
    return text.lstrip()[:1] in ("{", "[")


def says_who(text: str) -> bool:
    """Whether a text may say who somebody is."""
    return len(text) > MOST_TEXT or _names_someone(text)


def is_personal(key: str) -> bool:
    """Whether a key, however written, names a person or one of their things, or is an id of any kind."""
    return len(key) > _MOST_SEGMENT or _is_personal(key)


@lru_cache(maxsize=4096)
def _is_personal(key: str) -> bool:
    words = [word.lower() for word in _words_of(key.replace("IDs", "Ids"))]
    if key.lower().strip() in _PERSONAL_KEYS or "".join(words) in _PERSONAL_KEYS | _PERSONAL_WORDS:
        return True
    if not words:
        return False
    if words[-1] in ("id", "ids", "uuid", "guid") or not _PERSONAL_WORDS.isdisjoint(words):
        return True
    return words[-1] == "name" and not _NAMED.isdisjoint(words)
