"""What may stand where: a walk over the models that knows every key's place, other names and kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tracker.config.batching import TABLES
from tracker.config.model import Config
from tracker.config.values import Kind

Place = tuple[str | int, ...]
"""Where a value stands: keys and positions from the top."""


class Shape(NamedTuple):
    """How a key's value is built: a leaf, one object, a list of objects, or objects by name."""

    form: Literal["leaf", "object", "list", "map"]
    model: type[BaseModel] | None = None


class Spot(NamedTuple):
    """What the models say about one place."""

    form: Literal["leaf", "object", "list", "map"]
    model: type[BaseModel] | None
    field: FieldInfo | None


@cache
def fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """A model's keys by the name in the file."""
    return MappingProxyType({str(field.alias): field for field in model.model_fields.values()})


@cache
def names(model: type[BaseModel]) -> Mapping[str, str]:
    """Every name a model knows, other names included, to the key's own name."""
    own = {name: name for name in fields(model)}
    other = {also: name for name, field in fields(model).items() for also in other_names(field)}
    return MappingProxyType({**own, **other})


def other_names(field: FieldInfo) -> tuple[str, ...]:
    """The other names a key may be given by."""
    extra = field.json_schema_extra
    return (
        tuple(map(str, extra["also"])) if isinstance(extra, dict) and isinstance(extra["also"], list) else ()
    )


def is_secret(field: FieldInfo | None) -> bool:
    """The key's value must never be shown."""
    extra = field.json_schema_extra if field else None
    return isinstance(extra, dict) and extra["secret"] is True


def kind_of(field: FieldInfo | None) -> Kind | None:
    """What a leaf holds, None for everything that is built of objects."""
    return next((item for item in field.metadata if isinstance(item, Kind)), None) if field else None


def shape_of(field: FieldInfo) -> Shape:
    """How a key's value is built."""
    if kind_of(field):
        return Shape("leaf")
    annotation: Any = field.annotation
    models = [part for part in (annotation, *get_args(annotation)) if _is_model(part)]
    forms: dict[Any, Literal["list", "map"]] = {tuple: "list", dict: "map"}
    return Shape(forms.get(get_origin(annotation), "object"), models[0])


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def spot(place: Place) -> Spot | None:
    """What the models say about a place, None for one they do not know. Other names are known too."""
    here = Spot("object", Config, None)
    for part in place:
        there = _step(here, part)
        if there is None:
            return None
        here = there
    return here


def _step(here: Spot, part: str | int) -> Spot | None:
    if here.model is None:
        return None
    if here.form in ("list", "map"):
        return Spot("object", here.model, here.field)
    field = fields(here.model).get(names(here.model).get(str(part), ""))
    return Spot(*shape_of(field), field) if field else None


def choices(here: Spot) -> tuple[str, ...]:
    """The names that may follow here; none for a list or a leaf."""
    if here.form == "map":
        return TABLES
    return tuple(names(here.model)) if here.form == "object" and here.model else ()


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One key as documentation shows it."""

    path: str
    """`Spool.Path`, `Notify[].Hosts`, `Batching.<table>.Strategy`"""
    default: Any
    """As it would stand in the file; None when it has none."""
    meaning: str
    other_names: tuple[str, ...]
    expects: str
    """What its value may be, in words."""
    is_secret: bool


def known_keys() -> list[KnownKey]:
    """Every leaf of the configuration, in the order of the models."""
    return list(_known("", Config))


def _known(prefix: str, model: type[BaseModel]) -> Iterator[KnownKey]:
    for name, field in fields(model).items():
        form, inner = shape_of(field)
        if inner is not None:
            yield from _known(prefix + name + {"list": "[].", "map": ".<table>."}.get(form, "."), inner)
        else:
            yield _known_leaf(prefix + name, field)


def _known_leaf(path: str, field: FieldInfo) -> KnownKey:
    kind = kind_of(field)
    return KnownKey(
        path=path,
        default=None if field.is_required() else field.default,
        meaning=field.description or "",
        other_names=other_names(field),
        expects=kind.words if kind else "",
        is_secret=is_secret(field),
    )
