"""Which sinks may have the rows of a place, and what becomes of rows that none of them may have."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from tracker.errors import BadHit
from tracker.events import Row
from tracker.parts import part
from tracker.steps.protect import Decision
from tracker.steps.regions import ByPlace

NOWHERE: Final = "no store may have what comes from there"
EVERYWHERE: Final = frozenset({"hosts", "counters"})
"""Tables that say nothing of a person: their rows go to every sink."""
NO_HOME: Final = Decision("anonymise", "residency")


@dataclass(frozen=True, slots=True)
class Home:
    """Where rows of some places may go."""

    sinks: frozenset[str]
    """Names; empty when none of those that are written to may have them."""
    otherwise: Literal["refuse", "anonymise"] = "refuse"
    """What becomes of rows that no sink may have; anonymised ones may go to every sink."""


class Residency:
    """Where rows may go, by place; where nothing is said, everywhere."""

    def __init__(self, homes: Iterable[tuple[tuple[str, ...], Home]]) -> None:
        self._homes = ByPlace((place, home) for places, home in homes for place in places)

    def home(self, country: str, region: str) -> Home | None:
        """Where rows from there may go, None for everywhere. Raises BadHit where they are refused.

        One without sinks says that they must be anonymised.
        """
        home = self._homes.of(country, region)
        if home is not None and not home.sinks and home.otherwise == "refuse":
            raise BadHit(NOWHERE, "residency")
        return home


def at_home(rows: tuple[Row, ...], home: Home | None) -> tuple[Row, ...]:
    """The rows under the names of their parts."""
    if home is None or not home.sinks:
        return rows
    return tuple(
        row if row.table in EVERYWHERE else Row(part(row.table, home.sinks), row.line) for row in rows
    )
