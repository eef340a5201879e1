"""Current rows upon a table in memory, for tests of the routes that need no real store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from aiohttp import web

from tracker.errors import QueryError
from tracker.records.accounts import Account
from tracker.records.lookup import Lookup
from tracker.records.rows import whole
from tracker.tables import CATALOGUE
from tracker.web.credentials import Credentials, Refused
from tracker.web.services import WebServices

UID = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3b"
ADMIN = "018f3f3e-3c3b-7c3a-9c3a-3c3b7c3a9c3c"
OWNED = frozenset({"go.example", "xn--bcher-kva.example"})
PASSWORD = "pass word/1"


class MemoryStore:
    """Answers `find` from rows that a test puts in; `is_away` makes it fail."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.is_away = False
        self.asked = 0

    def put(self, table: str, **row: Any) -> None:
        """A row that was stored."""
        self.tables.setdefault(table, []).append(whole(CATALOGUE[table], row))

    async def find(
        self, table: str, where: Mapping[str, Sequence[str]], *, limit: int = 1000
    ) -> Sequence[dict[str, Any]]:
        await asyncio.sleep(0)
        self.asked += 1
        if self.is_away:
            raise QueryError("away")
        rows = self.tables.get(table, [])
        return [row for row in rows if all(row[name] in values for name, values in where.items())][:limit]


class TwoAccounts(Credentials):
    """UID owns OWNED, ADMIN everything; both have the same password, sent in the path or as a Bearer."""

    def __init__(self) -> None:
        """Nothing is looked up."""

    async def account(self, request: web.BaseRequest, path_uid: str = "", path_password: str = "") -> Account:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        uid, _, password = bearer.partition(":") if bearer else (path_uid, "", path_password)
        if password != PASSWORD or uid not in (UID, ADMIN):
            raise Refused(401, "Bad pass")
        return Account(uid, OWNED if uid == UID else frozenset(), uid == ADMIN)


def services_of(store: MemoryStore | None) -> WebServices:
    """What short links need: lookups upon the store, and the two accounts; everything else is missing."""
    given = {
        "credentials": TwoAccounts(),
        "links": Lookup("redirects", "urlfrom", store),
        "link_history": Lookup("redirect_history", "id", store),
        "orgs": Lookup("orgs", "oid", store),
    }
    missing: dict[str, Any] = dict.fromkeys(field.name for field in fields(WebServices))
    return WebServices(**{**missing, **given})
