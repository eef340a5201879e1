"""The values as they lie upon each other: file, then environment, then flags; and where each came from.

Other names of keys end here: what leaves is a tree of the keys' own names, and a way to say where each value
was written and under which name.
"""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from tracker.config.document import Document
from tracker.config.environment import Assignment
from tracker.config.keys import Place, Spot, names, spot
from tracker.config.model import Config

# Two ways to say one thing: whoever comes later takes the other way out.
_INSTEAD_OF = {"Hosts": ("Host", "Port"), "Host": ("Hosts",), "Port": ("Hosts",)}


@dataclass(slots=True)
class Sources:
    """Where values came from. Filled while the tree is built, read when something is said about a place."""

    file: str
    lines: Mapping[Place, int]
    variables: dict[Place, str] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)
    """The name that stands in the file, where it is not the key's own."""

    def say(self, place: Place, what: str) -> str:
        """`config.json:12: Spool.Path: what`, or with the variable's name instead of the file's."""
        shown = path_text(self.as_written(place))
        return f"{self.where(place)}: {shown}: {what}" if shown else f"{self.where(place)}: {what}"

    def as_written(self, place: Place) -> Place:
        """The place by the names that the person used."""
        return tuple(self.written.get(place[: end + 1], part) for end, part in enumerate(place))

    def where(self, place: Place) -> str:
        """The variable that set the value, or the file with the line if it is known."""
        above = [place[:end] for end in range(len(place), 0, -1)]
        for one in above:
            if one in self.variables:
                return self.variables[one]
        lines = (self.lines.get(self.as_written(one)) for one in above)
        line = next((line for line in lines if line is not None), None)
        return self.file if line is None else f"{self.file}:{line}"


def path_text(place: Place) -> str:
    """`Notify[1].Hosts`; a key that is no plain word is quoted."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = (
                part
                if part.isascii() and part.isprintable() and part and " " not in part
                else json.dumps(part)
            )
            text += f".{_short(word)}" if text else _short(word)
    return text


def _short(word: str) -> str:
    return word if len(word) <= 60 else word[:57] + "..."


def merge(
    document: Document, layers: list[list[Assignment]], problems: list[str]
) -> tuple[dict[str, Any], Sources]:
    """The tree of the keys' own names with every layer laid upon the file, and where its values came from."""
    sources = Sources(document.name, document.lines)
    problems.extend(sources.say(place, "given twice in one object") for place in document.repeated)
    tree = _own_names(document.data, Config, (), sources, problems)
    for layer in layers:
        for assignment in layer:
            _assign(tree, assignment, sources, problems)
    return tree, sources


def _own_names(
    data: dict[str, Any], model: type[BaseModel], place: Place, sources: Sources, problems: list[str]
) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for written, value in data.items():
        name = names(model).get(written, written)
        if name != written:
            sources.written.setdefault((*place, name), written)
        inner = _inner(value, spot((*place, name)), (*place, name), sources, problems)
        if name in tree and not _equal(tree[name], inner):
            both = " and ".join(other for other, own in names(model).items() if own == name and other in data)
            problems.append(
                sources.say((*place, name), f"{both} are names of one key and say different things")
            )
        tree.setdefault(name, inner)
    return tree


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _inner(value: Any, there: Spot | None, place: Place, sources: Sources, problems: list[str]) -> Any:
    if there is None or there.model is None:
        return value
    model = there.model

    def descend(item: Any, *further: str | int) -> Any:
        is_object = isinstance(item, dict)
        return _own_names(item, model, (*place, *further), sources, problems) if is_object else item

    if there.form == "list" and isinstance(value, list):
        return [descend(item, index) for index, item in enumerate(value)]
    if there.form == "map" and isinstance(value, dict):
        return {key: descend(item, key) for key, item in value.items()}
    return descend(value) if there.form == "object" else value


def _assign(tree: dict[str, Any], assignment: Assignment, sources: Sources, problems: list[str]) -> None:
    place, last = assignment.place, assignment.place[-1]
    here = _container(tree, place)
    if isinstance(here, list) and isinstance(last, int) and last <= len(here):
        where: Any = slice(last, last + 1)
    elif isinstance(here, dict):
        where = last
    else:
        problems.append(f"{assignment.variable}: {path_text(place)}: there is nothing to set it in")
        return
    _forget(sources, place)
    sources.variables[place] = assignment.variable
    for rival in _INSTEAD_OF.get(str(last), ()) if isinstance(here, dict) else ():
        here.pop(rival, None)
    value = _inner(copy.deepcopy(assignment.value), spot(place), place, sources, problems)
    here[where] = [value] if isinstance(here, list) else value


def _container(tree: dict[str, Any], place: Place) -> Any:
    """What the last part of a place stands in, made where it is missing; None if there is something else."""
    here: Any = tree
    for part, following in itertools.pairwise(place):
        here = _enter(here, part, [] if isinstance(following, int) else {})
    return here


def _enter(here: Any, part: str | int, new: Any) -> Any:
    if isinstance(here, list) and isinstance(part, int):
        if part == len(here):
            here.append(new)
        return here[part] if part < len(here) else None
    if isinstance(here, dict):
        return here.setdefault(str(part), new)
    return None


def _forget(sources: Sources, place: Place) -> None:
    """What was known about this place was about the value that is gone."""
    for known in list(_known_below(sources, place)):
        sources.variables.pop(known, None)
        sources.written.pop(known, None)


def _known_below(sources: Sources, place: Place) -> Iterator[Place]:
    for other in (*sources.variables, *sources.written):
        if other[: len(place)] == place:
            yield other
