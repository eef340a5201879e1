"""Environment variables and flags as keys of the configuration: TRACKER_NOTIFY__0__PASSWORD and the like.

It finds out which key a variable means and what its text says; whether it fits is judged with the rest.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.config.keys import Place, Spot, choices, is_secret, kind_of, names, spot
from tracker.config.nearest import nearest

PREFIX = "TRACKER_"
_FROM_FILE = "_FILE"
_MAX_SECRET_BYTES = 64 * 1024
# Kubernetes puts these into every container of a namespace that has a service named `tracker`.
_OF_KUBERNETES = re.compile(
    r"TRACKER_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


class BadVariable(ValueError):
    """A variable that cannot be used; the text says why, without the variable's name."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One key that a variable sets."""

    variable: str
    place: Place
    value: Any


def assignments(variables: Mapping[str, str], problems: list[str]) -> list[Assignment]:
    """What variables with the prefix say, whole sections before their keys; bad ones go to `problems`."""
    found: list[Assignment] = []
    for variable, text in variables.items():
        if variable.upper().startswith(PREFIX) and not _OF_KUBERNETES.fullmatch(variable):
            try:
                found.append(_assignment(variable, text))
            except BadVariable as problem:
                problems.append(f"{variable}: {problem}")
    found.sort(key=lambda each: (len(each.place), each.variable))
    return [each for each in found if _is_alone(each, found, problems)]


def with_prefix(overrides: Mapping[str, str]) -> dict[str, str]:
    """Overrides by the names that variables have; the prefix may be left out in a flag."""
    return {
        name if name.upper().startswith(PREFIX) else PREFIX + name: text for name, text in overrides.items()
    }


def _is_alone(one: Assignment, every: Iterable[Assignment], problems: list[str]) -> bool:
    for other in every:
        if other is one:
            return True
        if other.place == one.place and other.value != one.value:
            problems.append(f"{one.variable}: sets the same key as {other.variable}, to another value")
            return False
    return True


def _assignment(variable: str, text: str) -> Assignment:
    name = variable[len(PREFIX) :]
    is_file = name.upper().endswith(_FROM_FILE)
    place = _place(name[: -len(_FROM_FILE)] if is_file else name, _FROM_FILE if is_file else "")
    there = spot(place)
    if is_file and not (there and is_secret(there.field)):
        raise BadVariable("only secrets are read from files; give the value itself")
    return Assignment(variable, place, _secret(Path(text)) if is_file else _value(text, there))


def _place(name: str, suffix: str) -> Place:
    parts = name.split("__")
    place: Place = ()
    for index, part in enumerate(parts):
        here = spot(place)
        key = _next(here, part) if here else None
        if here is None or key is None:
            raise BadVariable(_unknown(here, parts, index, suffix))
        place += (_own_name(here, key),)
    return place


def _next(here: Spot, part: str) -> str | int | None:
    if here.form == "list":
        return int(part) if re.fullmatch(r"[0-9]{1,3}", part) else None
    return {name.casefold(): name for name in choices(here)}.get(part.casefold())


def _own_name(here: Spot, key: str | int) -> str | int:
    """The key's own name, so that two variables for one key are noticed."""
    if here.form != "object" or here.model is None or not isinstance(key, str):
        return key
    return names(here.model).get(key, key)


def _unknown(here: Spot | None, parts: list[str], index: int, suffix: str) -> str:
    if here and here.form == "list":
        return "unknown key; expected a position such as 0 after " + "__".join(parts[:index])
    close = nearest(parts[index], choices(here)) if here else None
    if close is None:
        return "unknown key"
    guess = "__".join([*parts[:index], close.upper(), *parts[index + 1 :]])
    return f"unknown key; did you mean {PREFIX}{guess}{suffix}?"


def _value(text: str, there: Spot | None) -> Any:
    kind = kind_of(there.field) if there and there.form == "leaf" else None
    takes = kind.takes if kind else (dict, list)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    # A text stays as it is, quotes included; a number for a key that takes text only does, too.
    return value if type(value) in takes and not isinstance(value, str) else text


def _secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        text = data.decode()
    except UnicodeDecodeError as problem:
        raise BadVariable(f"{path} is not UTF-8 text") from problem
    except (OSError, ValueError) as problem:
        raise BadVariable(f"cannot read {path}: {getattr(problem, 'strerror', None) or problem}") from problem
    if len(data) > _MAX_SECRET_BYTES:
        raise BadVariable(f"{path} is over {_MAX_SECRET_BYTES} bytes")
    return text.removesuffix("\n").removesuffix("\r")
