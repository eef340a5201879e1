"""`/tr/v1/ppi/geoip`: where the caller's own address is; where another one is, for those with an account.

Nothing of it is stored or counted beyond the request itself.
"""

from functools import lru_cache
from typing import Any, Protocol

import pycountry
from aiohttp import web

from tracker.events import Place
from tracker.web.addresses import parse_address
from tracker.web.answers import Answer, json_answer, text_answer
from tracker.web.credentials import Credentials
from tracker.web.requests import RequestReader, query_pairs

UNAVAILABLE = "Service Unavailable"
NO_ADDRESS = "Bad Request (IP)"
UNKNOWN = "Not Found (IP)"


class Places(Protocol):
    """Where addresses are looked up; see `tracker.geo.GeoIP`."""

    @property
    def is_ready(self) -> bool:
        """Whether there is any database."""

    def place(self, ip: str) -> Place | None:
        """An address's place; at hand at once, never raises."""


class GeoAnswers:
    """Answers places."""

    def __init__(self, reader: RequestReader, places: Places, credentials: Credentials) -> None:
        self._reader = reader
        self._places = places
        self._credentials = credentials

    async def answer(self, request: web.BaseRequest) -> Answer:
        """The place of `?ip=`, else of the caller. For another's address it raises what `Credentials` does,
        whether or not that address is known.
        """
        around = self._reader.surroundings(request)
        asked = _asked(request)
        address = _canonical(asked) if asked is not None else around.ip
        if asked is not None and address != around.ip:
            await self._credentials.account(request)
        if not self._places.is_ready:
            return text_answer(400, UNAVAILABLE, around.cors)
        if not address:
            return text_answer(400, NO_ADDRESS, around.cors)
        place = self._places.place(address)
        if place is None:
            return text_answer(400, UNKNOWN, around.cors)
        return json_answer(200, told(place), around.cors)


def told(place: Place) -> dict[str, Any]:
    """The place by the original's names; what is unknown is left out."""
    parts = {
        "iso2": place.country,
        "country": _name_of(place.country),
        "region": place.region,
        "city": place.city,
        "zip": place.zip,
        "tz": place.tz,
    }
    known: dict[str, Any] = {name: text for name, text in parts.items() if text}
    return known | ({"lat": place.lat, "lon": place.lon} if place.lat or place.lon else {})


def _asked(request: web.BaseRequest) -> str | None:
    """The first `ip` of the query that is not empty."""
    pairs = query_pairs(request.raw_path)
    return next((value for name, value in pairs if name.lower() == "ip" and value), None)


def _canonical(text: str) -> str:
    address = parse_address(text)
    return str(address) if address else ""


@lru_cache(maxsize=512)
def _name_of(code: str) -> str:
    found = pycountry.countries.get(alpha_2=code) if code else None
    return str(getattr(found, "common_name", found.name)) if found else ""
