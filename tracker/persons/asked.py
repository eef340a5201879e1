"""Who is meant: a visitor, a user or an e-mail address, in any form in which it could have been sent."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tracker.errors import BadHit
from tracker.steps import ids
from tracker.steps.hashes import private_hash
from tracker.tables import CATALOGUE, ZERO_UUID
from tracker.tables.persons import MOST_VISITORS, Person, literal

Kind = Literal["vid", "uid", "email"]
KINDS: tuple[Kind, ...] = ("vid", "uid", "email")
MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Naming:
    """How ids and hashes are made of what people say."""

    id_namespace: str
    prefix_private_hash: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for. `name` is the UUID of a visitor or user, or the hash of an e-mail address."""

    kind: Kind
    name: str
    text: str = ""
    """The id as it was said, where stores may be asked for it; never an e-mail address."""
    oid: str = ""
    keep: frozenset[str] = frozenset()

    def person(self) -> Person:
        """Whose rows are meant, as far as the question alone says."""
        one = frozenset({self.name})
        texts = frozenset({self.text} if self.text else ())
        found = {
            "vid": Person(visitors=one, texts=texts),
            "uid": Person(users=one, texts=texts),
            "email": Person(ehashes=one),
        }[self.kind]
        return replace(found, oid=self.oid, keep=self.keep)


def asked_of(said: Mapping[str, Any], naming: Naming) -> Asked:
    """What a command or a request asks for: one of vid, uid, email; `oid`, `keep` (tables). Raises BadHit."""
    unknown = said.keys() - {*KINDS, "oid", "keep", "dry_run"}
    if unknown:
        raise BadHit("only vid, uid, email, oid, keep and dry_run can be asked", "form")
    named = [kind for kind in KINDS if kind in said]
    if len(named) != 1:
        raise BadHit("name one of vid, uid, email", "form")
    if not isinstance(said.get("dry_run", False), bool):
        raise BadHit("dry_run must be true or false", "form")
    text = _text(said, named[0])
    oid = ids.known(_text(said, "oid"), naming.id_namespace) if "oid" in said else ""
    keep = _tables(said.get("keep", []))
    if named[0] == "email":
        return Asked("email", private_hash(naming.prefix_private_hash, text), "", oid, keep)
    name = ids.known(text, naming.id_namespace)
    if name == ZERO_UUID:
        raise BadHit(f"{named[0]} is nobody's", "form")
    return Asked(named[0], name, text if _is_quotable(text) else "", oid, keep)


def widened(person: Person, asked: Asked, visitors: Collection[str]) -> Person:
    """The person with visitors that were found. Raises BadHit for more than can be named at once."""
    found = frozenset(visitors) - {ZERO_UUID}
    if asked.kind == "uid":
        person = replace(person, known=person.known | found)
    elif asked.kind == "email":
        person = replace(person, visitors=person.visitors | found)
    if len(person.ids) > MOST_VISITORS:
        raise BadHit(f"that is more than {MOST_VISITORS} visitors: name them one by one", "too_many")
    return person


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said[name]
    if not isinstance(value, str) or not value.strip() or len(value) > MOST_CHARACTERS:
        raise BadHit(f"{name} must be text of at most {MOST_CHARACTERS} characters", "form")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise BadHit(f"{name} must be Unicode text without NUL", "form")
    return value.strip()


def _tables(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one in CATALOGUE for one in value):
        raise BadHit("keep must be a list of tables", "form")
    return frozenset(value)


def _is_quotable(text: str) -> bool:
    try:
        literal(text)
    except ValueError:
        return False
    return True


def packed(asked: Asked, person: Person) -> str:
    """Both as text; see `unpacked`."""
    return json.dumps({"asked": asdict(asked), "person": asdict(person)}, default=sorted)


def unpacked(subject: str) -> tuple[Asked, Person]:
    """What `packed` was given."""
    told = json.loads(subject)
    return Asked(**_with_sets(told["asked"])), Person(**_with_sets(told["person"]))


def _with_sets(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: frozenset(value) if isinstance(value, list) else value for name, value in told.items()}
