"""The configuration as it is in effect, for people to look at: the file's keys, secrets masked.

What comes out can be read again as a configuration and means the same, but for the secrets.
"""

from typing import Any

from pydantic import BaseModel

from tracker.config.keys import fields, is_secret, kind_of
from tracker.config.model import Config
from tracker.config.problems import without_user

MASK = "***"


def masked(config: Config) -> dict[str, Any]:
    """Every key that has a value, JSON types only, durations in seconds, secrets as `***` when set."""
    return _object(config)


def _object(section: BaseModel) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    attributes = {str(field.alias): attribute for attribute, field in type(section).model_fields.items()}
    for name, field in fields(type(section)).items():
        value = getattr(section, attributes[name])
        if is_secret(field):
            value = MASK if value else value
        kind = kind_of(field)
        if value is not None or field.default is not None:
            shown[name] = _hidden(kind.show(value)) if kind else _built(value)
    return shown


def _built(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _object(value)
    if isinstance(value, dict):
        return {name: _object(item) for name, item in value.items()}
    return [_object(item) for item in value]


def _hidden(value: Any) -> Any:
    """Addresses without the name and password in them, in lists too."""
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return without_user(value) if isinstance(value, str) else value
