"""What of the catalogue is about a person, and which rows of it are one person's: the same for a row of JSON
and for SQL.

A row belongs to the visitor and the user that its `vid` and `uid` name. Other columns may name a person in a
row that is somebody else's: there only the name goes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tracker.tables import CATALOGUE, ZERO_UUID, Kind

VISITOR, USER, EHASH = "vid", "uid", "ehash"
MENTIONS = frozenset(
    {
        *("auth_id", "avid", "content_approver", "content_creator", "creator_id", "owner", "ref", "updater"),
        *("admins", "content_editors", "deliveries", "failures", "outs", "perms_ids", "pubs", "sent", "subs"),
        *("users", "vid_targets"),
    }
)
"""Columns that may name a person in a row of somebody else: emptied, or the name taken out of the list."""

OTHER_IDS = frozenset(
    {
        *("eid", "sid", "oid", "tid", "rid", "invoice_id", "device_id", "id", "cid", "mid", "pmid", "qid"),
        *("mcert_id", "content_id", "parent_tid", "content_history", "invid", "orid", "product_id"),
    }
)
"""Columns of UUIDs that name things, not people."""

NOT_PERSONS = frozenset(
    {"accounts", "counters", "hosts", "jurisdictions", "orgs", "redirect_history", "redirects"}
)
"""Tables of the site's own: accounts are closed by their own command, the others name no visitor."""
BY_TEXT_ID = MappingProxyType({"updates": "id"})
"""Table to the column of text that may hold a person's id as it was sent."""

SHIELDED = "\"'\\"
MOST_VISITORS = 2000
"""What one statement of a store can name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose rows are meant. Ids are hyphenated UUIDs."""

    visitors: frozenset[str] = frozenset()
    """All rows of these, whatever user they name."""
    users: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    """Visitors that the users were seen as: their rows that name no user."""
    ehashes: frozenset[str] = frozenset()
    """Hashes of e-mail addresses."""
    texts: frozenset[str] = frozenset()
    """Ids as they were sent."""
    oid: str = ""
    """Only rows of this organisation; '' for all, also those of tables that know none."""
    keep: frozenset[str] = frozenset()
    """Tables that stay as they are."""

    @property
    def ids(self) -> frozenset[str]:
        """Every id that names the person."""
        return self.visitors | self.users | self.known

    @property
    def words(self) -> frozenset[str]:
        """All that a row must hold one of to be concerned."""
        return self.ids | self.ehashes | self.texts

    def tables(self) -> list[str]:
        """The tables that may have rows of the person."""
        return [
            name
            for name, table in CATALOGUE.items()
            if name not in NOT_PERSONS | self.keep
            and (not self.oid or "oid" in table.kinds())
            and (columns_of(name) or name in BY_TEXT_ID)
        ]


def columns_of(table: str) -> dict[str, Kind]:
    """The table's columns that may name a person."""
    kinds = CATALOGUE[table].kinds()
    return {name: kind for name, kind in kinds.items() if name in MENTIONS | {VISITOR, USER, EHASH}}


def is_of(person: Person, table: str, row: Mapping[str, Any]) -> bool:
    """Whether the whole row is the person's. Columns at their default may be missing from it."""
    if person.oid and row.get("oid") != person.oid:
        return False
    visitor, user = row.get(VISITOR), row.get(USER, ZERO_UUID)
    return (
        visitor in person.visitors
        or user in person.users
        or (visitor in person.known and user == ZERO_UUID)
        or row.get(EHASH) in person.ehashes
        or (table in BY_TEXT_ID and row.get(BY_TEXT_ID[table]) in person.texts | person.ids)
    )


def without_mentions(person: Person, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of somebody else as it must be; equal to the row where it does not name the person."""
    left = dict(row)
    if person.oid and row.get("oid") != person.oid:
        return left
    for name in MENTIONS & row.keys():
        value = row[name]
        if isinstance(value, list):
            left[name] = [one for one in value if one not in person.ids]
        elif value in person.ids:
            del left[name]
    return left


def condition(person: Person, table: str) -> str:
    """SQL that is true of the person's rows of the table, '' when it can have none. For every store."""
    kinds = CATALOGUE[table].kinds()
    parts = [_among(VISITOR, person.visitors)] if VISITOR in kinds else []
    if USER in kinds:
        parts.append(_among(USER, person.users))
    if VISITOR in kinds and person.known:
        alone = f" AND {USER} = {literal(ZERO_UUID)}" if USER in kinds else ""
        parts.append(f"({_among(VISITOR, person.known)}{alone})")
    if EHASH in kinds:
        parts.append(_among(EHASH, person.ehashes))
    if table in BY_TEXT_ID:
        parts.append(_among(BY_TEXT_ID[table], person.texts | person.ids))
    return _of_org(person, [part for part in parts if part])


def mention_condition(person: Person, table: str, has: Callable[[str, str], str]) -> str:
    """SQL that is true of rows that name the person in passing, '' when none can.

    `has` gives a store's SQL for: this column of UUIDs has this one.
    """
    found = [
        _has_any(name, person.ids, has) if kind is Kind.UUIDS else _among(name, person.ids)
        for name, kind in columns_of(table).items()
        if name in MENTIONS and person.ids
    ]
    return _of_org(person, found)


def literal(text: str) -> str:
    """Text in SQL. Raises ValueError for what stores quote differently."""
    if any(character in SHIELDED or not character.isprintable() for character in text):
        raise ValueError("text that cannot be quoted alike for every store")
    return f"'{text}'"


def listed(values: Iterable[str]) -> str:
    """Values in SQL, between commas."""
    return ", ".join(literal(value) for value in sorted(values))


def _among(column: str, values: Collection[str]) -> str:
    return f"{column} IN ({listed(values)})" if values else ""


def _has_any(column: str, values: Collection[str], has: Callable[[str, str], str]) -> str:
    return "(" + " OR ".join(has(column, literal(value)) for value in sorted(values)) + ")"


def _of_org(person: Person, parts: Collection[str]) -> str:
    if not parts:
        return ""
    org = f" AND oid = {literal(person.oid)}" if person.oid else ""
    return f"({' OR '.join(parts)}){org}"
