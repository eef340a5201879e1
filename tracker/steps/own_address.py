"""The sender's own address inside what it sent: found in finished rows, taken out of values.

Senders put their address into texts and params of their own; where no raw address is to be kept, it goes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tracker.events import Envelope, Row

_LOOPBACK = ("127.", "::1")


def names_sender(rows: Sequence[Row], envelope: Envelope) -> bool:
    """Whether a row may hold the sender's address as text; the machine's own names nobody."""
    ip = envelope.ip
    if not ip or ip == envelope.host or ip.startswith(_LOOPBACK):
        return False
    sought = ip.encode()
    return any(sought in row.line for row in rows)


def without_address(value: Any, ip: str) -> Any:
    """The value, objects and arrays made anew, without the address in any text or key."""
    return _without(value, _pattern(ip))


def _without(value: Any, address: re.Pattern[str]) -> Any:
    if type(value) is str:
        return address.sub("", value)
    if type(value) is dict:
        return {address.sub("", key): _without(item, address) for key, item in value.items()}
    if type(value) is list:
        return [_without(item, address) for item in value]
    return value


@lru_cache(maxsize=256)
def _pattern(ip: str) -> re.Pattern[str]:
    """The address where it stands alone: 1.2.3.4 is no part of 11.2.3.45."""
    own = re.escape(ip)
    if ":" in ip:
        return re.compile(rf"(?<![0-9a-f:]){own}(?![0-9a-f:])", re.IGNORECASE)
    return re.compile(rf"(?<![0-9])(?<![0-9]\.){own}(?![0-9]|\.[0-9])")
