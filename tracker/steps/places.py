"""Where something happened: what was sent, else its time zone's country, else the place of its address."""

from collections.abc import Callable
from typing import Any

from tracker.events import Place
from tracker.steps.timezones import country_of

Geo = Callable[[str], Place | None]
"""An address's place; at hand at once, never raises."""
_BY_ADDRESS = ("country", "region", "city", "zip")


def nowhere(ip: str) -> Place | None:
    """No address has a known place: there is no database."""
    return None


def without_regions(geo: Geo) -> Geo:
    """The same places, less region and city."""

    def place(ip: str) -> Place | None:
        found = geo(ip)
        return found._replace(region="", city="") if found else None

    return place


def put_place(row: dict[str, Any], ip: str, geo: Geo) -> None:
    """Fill the row's `country`, `region`, `city`, `zip`, `lat` and `lon`, each where it is missing.

    The row has what was sent, in the columns' form, and `tz` if one was sent; columns at their default are
    left out. The country is upper case, the other texts are lower case.
    """
    if "country" not in row and "tz" in row and (country := country_of(row["tz"])):
        row["country"] = country
    place = geo(ip)
    if place is None:
        return
    for column in _BY_ADDRESS:
        if column not in row and (known := getattr(place, column)):
            row[column] = known if column == "country" else known.lower()
    if "lat" not in row and "lon" not in row:
        row.update({key: number for key, number in (("lat", place.lat), ("lon", place.lon)) if number})
