"""Where what names a person ends: e-mail, phone, user name and tokens go, only hashes stay.

It works on merged values, before anything else has looked at them, at any depth. What becomes of the address
is decided in `surroundings`.
"""

from typing import Any, NamedTuple

from tracker.errors import BadHit
from tracker.events import Values
from tracker.steps.hashes import private_hash
from tracker.steps.json_input import loads
from tracker.steps.keys import CARRIED_DOCUMENTS, HASHED, PRIVATE

_CONTAINERS = frozenset({dict, list})
_MAY_BE_JSON_TEXT = ("params", "targets")


class PersonHashes(NamedTuple):
    """Hashes of a person's e-mail, phone and user name; '' where nothing was said."""

    ehash: str = ""
    chash: str = ""
    uhash: str = ""


NOBODY = PersonHashes()


def open_documents(values: Values, max_depth: int) -> None:
    """Replace `params` and `targets` that came as JSON text by what the text holds, so that privacy sees it.

    Documents that an event of a thread carries as text are replaced only where a private key is inside.
    Text that is no object or array stays text. Raises BadHit when it is too deep.
    """
    for key in _MAY_BE_JSON_TEXT:
        text = values.get(key)
        if type(text) is str and text.lstrip()[:1] in ("{", "["):
            values[key] = _opened(text, max_depth)
    if "tid" in values:
        for key in CARRIED_DOCUMENTS.intersection(values):
            text = values[key]
            if type(text) is str and text.lstrip()[:1] in ("{", "["):
                opened = _opened(text, max_depth)
                if type(opened) in _CONTAINERS and not _is_clean(opened):
                    values[key] = opened


def _opened(text: str, max_depth: int) -> Any:
    """What JSON text holds; the text itself when it is no JSON. Raises BadHit when it is too deep."""
    try:
        return loads(text, max_depth)
    except BadHit as error:
        if error.code == "too_deep":
            raise
        return text


def take_person(values: Values, prefix: str) -> PersonHashes:
    """Remove every private key from `values`, at any depth, and say who the person is, by hash.

    The top level speaks first, then whatever comes first; a hash the client sent goes before our own.
    `values` is changed, objects inside it are replaced, never changed.
    """
    found: dict[str, Any] = {}
    if not PRIVATE.isdisjoint(values):
        _keep_first(found, values)
        for key in PRIVATE.intersection(values):
            del values[key]
    for key, value in values.items():
        if type(value) in _CONTAINERS and not _is_clean(value):
            values[key] = _cleaned(value, found)
    if not found and "ehash" not in values and "chash" not in values and "uhash" not in values:
        return NOBODY
    return PersonHashes(
        _text(values.get("ehash")) or private_hash(prefix, _text(found.get("email"))),
        _text(values.get("chash")) or private_hash(prefix, _text(found.get("cell"))),
        _text(values.get("uhash")) or private_hash(prefix, _text(found.get("uname"))),
    )


def _is_clean(container: Any) -> bool:
    items = container
    if type(container) is dict:
        if not PRIVATE.isdisjoint(container):
            return False
        items = container.values()
    if _CONTAINERS.isdisjoint(map(type, items)):
        return True
    return all(_is_clean(item) for item in items if type(item) in _CONTAINERS)


def _cleaned(value: Any, found: dict[str, Any]) -> Any:
    """The value without private keys; what they held is put into `found`, unless it was found before."""
    if type(value) is dict:
        _keep_first(found, value)
        return {key: _cleaned(item, found) for key, item in value.items() if key not in PRIVATE}
    if type(value) is list:
        return [_cleaned(item, found) for item in value]
    return value


def _keep_first(found: dict[str, Any], container: dict[str, Any]) -> None:
    for key, value in container.items():
        if key in PRIVATE and key.lower() in HASHED and _text(value):
            found.setdefault(key.lower(), value)


def _text(value: Any) -> str:
    """Text, or a number's text (a phone number may be sent as one); '' for anything else."""
    if type(value) is str:
        return value.strip()
    return str(value) if type(value) is int else ""
