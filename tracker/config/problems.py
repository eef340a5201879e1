"""What is wrong with a configuration, one line each: place, what was given, expected, perhaps meant.

A secret is never repeated, neither is the inside of an object or a list, which may hold one.
"""

import json
import re
from typing import Any

from pydantic import ValidationError

from tracker.config.keys import Place, Spot, choices, is_secret, known_keys, spot
from tracker.config.nearest import nearest
from tracker.config.sources import Sources

_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")


def lines_of(error: ValidationError, sources: Sources) -> list[str]:
    """Every problem that validation found."""
    return [
        _line(item["type"], item["loc"], item["input"], item.get("ctx", {}), sources)
        for item in error.errors()
    ]


def _line(what: str, place: Place, given: Any, context: dict[str, Any], sources: Sources) -> str:
    there = spot(place)
    if what == "string_unicode":  # half a surrogate pair in a key; the place is that of the object
        return sources.say((*place, given), unknown((*place, given)))
    if what == "extra_forbidden":
        return sources.say(place, unknown(place))
    if what == "missing":
        return sources.say(place, "missing")
    expected = context["words"] if what == "unfit" else _built(there)
    return sources.say(place, f"got {got(given, is_hidden(there))}, expected {expected}")


def _built(there: Spot | None) -> str:
    return {"list": "a list of objects", "map": "an object of objects"}.get(
        there.form if there else "", "an object"
    )


def is_hidden(there: Spot | None) -> bool:
    """The place holds a secret, or is not known well enough to say that it does not."""
    return there is None or is_secret(there.field)


def got(value: Any, is_secret_value: bool) -> str:
    """A value as it may be repeated: its start and its type."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    kind = {bool: "boolean", str: "text"}.get(type(value), "number")
    if is_secret_value:
        return f"a value that is not shown ({kind})"
    text = without_user(value) if isinstance(value, str) else value
    shown = json.dumps(text)
    return f"{shown if len(shown) <= 80 else shown[:77] + '...'} ({kind})"


def without_user(text: str) -> str:
    """An address without the name and password in it."""
    return _USER_INFO.sub("***@", text)


def unknown(place: Place) -> str:
    """That a key is not known, with the known one that is most like it."""
    *above, name = place
    here = spot(tuple(above))
    siblings = choices(here) if here else ()
    same = [sibling for sibling in siblings if sibling.casefold() == str(name).casefold()]
    close = next(iter(same), None) or _elsewhere(str(name)) or nearest(str(name), siblings)
    return f"unknown key; did you mean {close}?" if close else "unknown key"


def unknown_table(name: str) -> str:
    """That `Batching` knows no such table."""
    return unknown(("Batching", name)).replace("unknown key", "unknown table")


def _elsewhere(name: str) -> str | None:
    """The full path of a key of this very name that has its place in a section."""
    for known in known_keys():
        section, _, last = known.path.rpartition(".")
        if section and last == name:
            return known.path
    return None
