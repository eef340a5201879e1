"""Time zone -> country, from the zone tables of the `tzdata` package, older names included."""

from functools import lru_cache
from importlib.resources import files
from itertools import chain

# Older names whose link leads into another country, because the zones have had the same time since 1970.
_SAME_PLACE = {
    "africa/asmera": "africa/asmara",
    "africa/timbuktu": "africa/bamako",
    "america/coral_harbour": "america/atikokan",
    "america/virgin": "america/st_thomas",
    "antarctica/south_pole": "antarctica/mcmurdo",
    "atlantic/jan_mayen": "arctic/longyearbyen",
    "iceland": "atlantic/reykjavik",
    "pacific/johnston": "pacific/midway",
    "pacific/ponape": "pacific/pohnpei",
    "pacific/truk": "pacific/chuuk",
    "pacific/yap": "pacific/chuuk",
}

# Links that name an offset or a rule, not a place.
_NO_PLACE = frozenset(
    {"cet", "cst6cdt", "eet", "est", "est5edt", "hst", "met", "mst", "mst7mdt", "pst8pdt", "wet"}
)


def country_of(zone: str) -> str:
    """ISO 3166 code of a zone's (first) country, upper case; '' when the name is unknown or no place.

    `zone` is lower case, as the column `tz` has it.
    """
    return _countries().get(zone, "")


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    countries: dict[str, str] = {}
    for line in chain(_lines("zone1970.tab"), _lines("zone.tab")):
        codes, _, zone = line.split("\t")[:3]
        countries.setdefault(zone.lower(), codes.split(",")[0])
    for line in _lines("tzdata.zi"):
        if line.startswith("L "):
            _, target, name = line.lower().split()
            place = _SAME_PLACE.get(name, target)
            if name not in _NO_PLACE and place in countries:
                countries.setdefault(name, countries[place])
    return countries


def _lines(name: str) -> list[str]:
    text = files("tzdata.zoneinfo").joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
