"""Databases in MaxMind's form. Its fields differ by vendor: the names below are those of MaxMind and DB-IP
(nested), of ip-location-db and IPinfo (flat).
"""

from typing import Any

import maxminddb

from tracker.events import Place
from tracker.geo.values import at, place_of, text

MARK = b"\xab\xcd\xefMaxMind.com"
"""Before the metadata, in the last 128 KiB of such a file."""
MARK_WITHIN = 128 * 1024
ERRORS = (maxminddb.InvalidDatabaseError, ValueError, OSError)
"""What a damaged file raises; ValueError also for an IPv6 address in a database of IPv4."""


class Mmdb:
    """One open database. Raises one of ERRORS when it cannot be read."""

    def __init__(self, path: str) -> None:
        self._reader = maxminddb.open_database(path)
        self.kind = f"mmdb {text(self._reader.metadata().database_type)}"

    def find(self, address: str) -> Place | None:
        """The place of a canonical address. Raises one of ERRORS."""
        record = self._reader.get(address)
        return place_of_record(record) if record is not None else None

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def place_of_record(record: Any) -> Place | None:
    """The place that a record of any shape tells of."""
    return place_of(
        _first(record, ("country", "iso_code"), ("country_code",), ("registered_country", "iso_code"))
        or _code(at(record, "country")),
        _first(
            record,
            ("subdivisions", 0, "names", "en"),
            ("subdivisions", 0, "iso_code"),
            ("region",),
            ("state1",),
            ("region_code",),
        ),
        _first(record, ("city", "names", "en"), ("city",)),
        _first(record, ("postal", "code"), ("postal",), ("postal_code",), ("postcode",), ("zip",)),
        _position(record),
        _first(record, ("location", "time_zone"), ("timezone",), ("time_zone",)),
    )


def _first(record: Any, *paths: tuple[str | int, ...]) -> str:
    for path in paths:
        if found := text(at(record, *path)):
            return found
    return ""


def _code(country: Any) -> str:
    """IPinfo writes the code where others have an object or a name."""
    return country if isinstance(country, str) and len(country) == 2 else ""


def _position(record: Any) -> tuple[Any, Any]:
    inner = at(record, "location")
    if at(inner, "latitude") is not None:
        return at(inner, "latitude"), at(inner, "longitude")
    if at(record, "latitude") is not None:
        return at(record, "latitude"), at(record, "longitude")
    if isinstance(loc := at(record, "loc"), str) and loc.count(",") == 1:
        lat, _, lon = loc.partition(",")
        return lat, lon
    return at(record, "lat"), at(record, "lng") if at(record, "lon") is None else at(record, "lon")
