"""What holds where: values by place, of which the narrowest counts.

A place is a region (`US-CA`, or the country's code and the region's name), a country (`DE`), `EU`, `EEA` or
`*`. A region goes before its country, that before EU, EU before EEA, and `*` is for all others and for a
country that is unknown.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import pycountry

T = TypeVar("T")

EU: Final = frozenset(
    {
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT"),
        *("LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
        *("AX", "GF", "GP", "MF", "MQ", "RE", "YT"),
    }
)
"""Members, and those of their territories with a code of their own in which the Union's law applies."""
EEA: Final = EU | {"IS", "LI", "NO"}
_GROUPS: Mapping[str, frozenset[str]] = {"EEA": EEA, "EU": EU}


class ByPlace(Generic[T]):
    """Values by place; of two for the same place the later one."""

    def __init__(self, held: Iterable[tuple[str, T]]) -> None:
        self._everywhere: T | None = None
        self._by_country: dict[str, T] = {}
        self._by_region: dict[tuple[str, str], T] = {}
        for place, value in sorted(held, key=lambda one: _width(one[0]), reverse=True):
            self._hold(place, value)

    def of(self, country: str, region: str) -> T | None:
        """What holds there; `country` is upper case, `region` lower, '' when unknown."""
        if region and self._by_region:
            found = self._by_region.get((country, region))
            if found is not None:
                return found
        return self._by_country.get(country, self._everywhere)

    def _hold(self, place: str, value: T) -> None:
        """A value for a place, over what was said of wider ones before."""
        country, is_region, region = place.partition("-")
        if place == "*":
            self._everywhere = value
        elif is_region:
            self._by_region |= {(country, name): value for name in _region_names(place, region)}
        else:
            self._by_country |= dict.fromkeys(_GROUPS.get(place, (place,)), value)


def _width(place: str) -> int:
    """How wide a place is."""
    if place == "*":
        return 4
    if place in _GROUPS:
        return 3 if place == "EEA" else 2
    return 0 if "-" in place else 1


def _region_names(place: str, region: str) -> Iterator[str]:
    """Every way in which a row may name the region, lower case: `ca`, `us-ca`, `california`."""
    yield region.lower()
    yield place.lower()
    known: Any = pycountry.subdivisions.get(code=place)  # type: ignore[no-untyped-call]
    if known is not None:
        yield known.name.lower()
