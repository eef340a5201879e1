"""What databases hold -> the parts of a Place; whatever they hold, the result is clean."""

import math
from typing import Any

from tracker.events import Place

MAX_TEXT = 200
"""Characters of a name; a longer one is cut."""
_UNKNOWN = frozenset({"", "-", "null", "none"})


def place_of(country: Any, region: Any, city: Any, postcode: Any, position: Any, zone: Any) -> Place | None:
    """A place of a database's values, of any type each; `position` is latitude and longitude. None when
    they say nothing at all.
    """
    code = text(country).upper()
    lat, lon = _position(position)
    place = Place(
        country=code if len(code) == 2 and code.isascii() and code.isalpha() else "",
        region=text(region),
        city=text(city),
        zip=text(postcode),
        lat=lat,
        lon=lon,
        tz=text(zone),
    )
    return place if place != _NOWHERE else None


def text(value: Any) -> str:
    """A text without surrounding blanks and control characters; '' for what stands for unknown."""
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        return ""
    if not value.isprintable():
        value = "".join([sign for sign in value if sign.isprintable()])
    kept = value.strip()[:MAX_TEXT]
    return "" if kept.lower() in _UNKNOWN else kept


def at(record: Any, *path: str | int) -> Any:
    """What lies at a path of objects and lists; None when nothing does."""
    for step in path:
        if type(record) is dict:
            record = record.get(step)
        elif type(record) is list and type(step) is int and step < len(record):
            record = record[step]
        else:
            return None
    return record


def _position(position: Any) -> tuple[float, float]:
    try:
        lat, lon = (float(number) for number in position)
    except (TypeError, ValueError, OverflowError):
        return 0.0, 0.0
    is_there = math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180
    return (lat, lon) if is_there else (0.0, 0.0)


_NOWHERE = Place()
