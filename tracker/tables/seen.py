"""Who was seen with what: facts that events do not keep, for only hashes of them are stored."""

from tracker.tables.model import CREATED, HHASH, Column, Kind, Table, columns

_SEEN = (*columns(Kind.UUID, vid="visitor", sid="session"), CREATED)

HOSTS = Table(
    name="hosts",
    meaning="the name behind each host hash",
    columns=(HHASH, Column("hostname", Kind.TEXT, "host, lower case, without port"), CREATED),
    key=("hhash", "hostname"),
    version="created_at",
)


def _seen_by(name: str, column: Column, key: tuple[str, ...], meaning: str) -> Table:
    return Table(name, meaning, (HHASH, column, *_SEEN), key, "created_at")


USERNAMES = _seen_by(
    "usernames",
    Column("uhash", Kind.TEXT, "hash of the user name"),
    ("hhash", "uhash", "vid"),
    "which visitors a user name was seen with",
)
EMAILS = _seen_by(
    "emails",
    Column("ehash", Kind.TEXT, "hash of the e-mail address"),
    ("hhash", "ehash"),
    "the visitor an e-mail address was last seen with",
)
CELLS = _seen_by(
    "cells",
    Column("chash", Kind.TEXT, "hash of the phone number"),
    ("hhash", "chash", "vid"),
    "which visitors a phone number was seen with",
)
USERHOSTS = _seen_by(
    "userhosts",
    Column("uid", Kind.UUID, "the site's user"),
    ("hhash", "uid", "vid"),
    "which visitors a user was seen as",
)
