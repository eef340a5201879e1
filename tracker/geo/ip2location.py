"""Databases in IP2Location's form (BIN), any of its types DB1 to DB26; the package reads, its words are taken
apart here.
"""

import struct
from typing import Any

from IP2Location import IP2Location  # type: ignore[import-untyped]

from tracker.events import Place
from tracker.geo.values import place_of

ERRORS = (ValueError, struct.error, IndexError, OverflowError, OSError)
"""What a damaged file raises."""
HEADER = struct.Struct("<BBBBBIIIIIIBB")
"""Type, columns, year, month, day; number of rows and place of the first for IPv4, the same for IPv6; places
of both indexes; product, licence. Places count from 1.
"""
_MOST_TYPES = 26
_NOT_GIVEN = "This parameter is unavailable"
_NO_ADDRESS = ("INVALID IP", "IPV6 ADDRESS MISSING")


def is_bin(head: bytes, size: int) -> bool:
    """Whether a file of so many bytes that begins so can be one: the form has no mark, only numbers that must
    agree with each other.
    """
    if len(head) < HEADER.size:
        return False
    kind, columns, year, month, day, rows4, at4, rows6, at6, *_, product, _ = HEADER.unpack_from(head)
    return bool(
        1 <= kind <= _MOST_TYPES
        and 2 <= columns <= 32
        and 1 <= month <= 12
        and 1 <= day <= 31
        and (product == 1 or year <= 20)
        and rows4 + rows6 > 0
        and at4 + rows4 * columns * 4 <= size + 1
        and at6 + rows6 * (columns * 4 + 12) <= size + 1
    )


class Bin:
    """One open database. Raises one of ERRORS when it cannot be read."""

    def __init__(self, path: str) -> None:
        self._database = IP2Location(path)
        with open(path, "rb") as file:  # noqa: PTH123 (a file descriptor's path)
            self.kind = f"IP2Location DB{file.read(1)[0]}"

    def find(self, address: str) -> Place | None:
        """The place of a canonical address. Raises one of ERRORS."""
        record = self._database.get_all(address)
        return place_of_record(record) if record is not None else None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def place_of_record(record: Any) -> Place | None:
    """The place that the package's record tells of."""
    country = _given(record.country_short)
    if country.startswith(_NO_ADDRESS):
        return None
    return place_of(
        country,
        _given(record.region),
        _given(record.city),
        _given(record.zipcode),
        (_given(record.latitude), _given(record.longitude)),
        _given(record.timezone),
    )


def _given(value: Any) -> str:
    return value if isinstance(value, str) and not value.startswith(_NOT_GIVEN) else ""
