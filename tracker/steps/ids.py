"""Ids: every form of a UUID to one, any other text to a UUID that always names the same, new ones by time.

A text that is no UUID (`user-123`) becomes the UUIDv5 of `NAMESPACE` and the text, trimmed, in its own case.
Anyone can compute it: `uuid.uuid5(uuid.UUID("5b0f2c7e-6d0a-4d43-9a37-0c1f5e8b7a24"), "user-123")`.
"""

import re
from functools import lru_cache
from typing import Any, Final

import uuid_utils

from tracker.events import Identity

NAMESPACE: Final = "5b0f2c7e-6d0a-4d43-9a37-0c1f5e8b7a24"
"""The published namespace of ids that were sent as plain text."""

_REMEMBERED_LENGTH = 128  # a cache of unbounded texts would be unbounded itself

is_canonical = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
"""Matches a UUID in the one form in which rows hold it."""
_is_hexadecimal = re.compile("[0-9a-f]{32}").fullmatch


def new_id() -> str:
    """A UUIDv7: unique, and later ones sort after earlier ones."""
    return str(uuid_utils.uuid7())


def parse(text: str) -> str | None:
    """The UUID in lower case with hyphens; None when the text is none.

    Read are: with hyphens, 32 hexadecimal digits, `urn:uuid:...` and `{...}`, in any case, blanks around it.
    """
    return text if is_canonical(text) else _other_form(text)


def is_uuid(sent: Any) -> bool:
    """Whether a value is text of a UUID in any form."""
    return type(sent) is str and parse(sent) is not None


def _other_form(text: str) -> str | None:
    bare = text.strip().lower()
    if len(bare) == 38 and bare[0] == "{" and bare[-1] == "}":
        bare = bare[1:-1]
    elif len(bare) == 45:
        bare = bare.removeprefix("urn:uuid:")
    if _is_hexadecimal(bare):
        return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
    return bare if is_canonical(bare) else None


def named(text: str, namespace: str = NAMESPACE) -> str:
    """The UUIDv5 of a text; the same text always gives the same id."""
    return _named(text, namespace) if len(text) <= _REMEMBERED_LENGTH else _named.__wrapped__(text, namespace)


def known(sent: Any, namespace: str = NAMESPACE) -> str:
    """The id that a value stands for as rows have it; '' for none."""
    text = sent.strip() if type(sent) is str else str(sent) if type(sent) is int else ""
    return (parse(text) or named(text, namespace)) if text else ""


@lru_cache(maxsize=16384)
def _named(text: str, namespace: str) -> str:
    readable = text.encode("utf-8", "replace").decode("utf-8")
    return str(uuid_utils.uuid5(uuid_utils.UUID(namespace), readable))


def as_bytes(uuid_text: str) -> bytes:
    """The 16 bytes of a hyphenated UUID."""
    return bytes.fromhex(uuid_text.replace("-", ""))


def identify(row: dict[str, Any], *, is_new: bool) -> tuple[Identity, bytes | None]:
    """Fill the row's `eid`, `vid` and `sid` where they are missing.

    Comes back with who that is and, if the client chose the event's id, its 16 bytes. `is_new` says that the
    visitor id in the row was made for this event although it came with it.
    """
    client_eid = row.get("eid")
    eid = client_eid or row.setdefault("eid", new_id())
    vid = row.get("vid")
    if vid is None:
        vid = row["vid"] = new_id()
        is_new = True
    sid = row.get("sid")
    if sid is None:
        sid = row["sid"] = vid if is_new else new_id()
    if is_new:
        row["is_new"] = True
    return Identity(eid, vid, sid, is_new), as_bytes(client_eid) if client_eid else None
