"""The accounts' part of the control socket: hashes come in, never passwords. Only HTTP lies here."""

from typing import Any

from aiohttp import web

from tracker.errors import BadHit, TrackerError
from tracker.records.account_book import NewAccount
from tracker.records.passwords import is_hash
from tracker.web.control_json import SERVICES, answer, body_of, text_of
from tracker.web.control_services import AccountBook


def account_routes() -> list[web.RouteDef]:
    """Routes below /accounts."""
    return [
        web.get("/accounts", _list),
        web.post("/accounts/add", _add),
        web.post("/accounts/passwd", _passwd),
        web.post("/accounts/disable", _disable),
    ]


async def _list(request: web.Request) -> web.Response:
    return answer({"accounts": list(await _book(request).listed())})


async def _add(request: web.Request) -> web.Response:
    asked = await body_of(request)
    account = NewAccount(
        pwd=_hash_of(asked),
        hosts=_hosts_of(asked),
        is_admin=asked.get("admin") is True,
        expires=_text_in(asked, "expires"),
        uid=_text_in(asked, "uid"),
        name=_text_in(asked, "name"),
    )
    return answer({"uid": await _book(request).add(account)})


async def _passwd(request: web.Request) -> web.Response:
    asked = await body_of(request)
    await _book(request).passwd(text_of(asked, "uid"), _hash_of(asked))
    return answer({})


async def _disable(request: web.Request) -> web.Response:
    asked = await body_of(request)
    await _book(request).disable(text_of(asked, "uid"))
    return answer({})


def _book(request: web.Request) -> AccountBook:
    book = request.app[SERVICES].accounts
    if book is None:
        raise TrackerError("this server has no accounts")
    return book


def _hash_of(asked: dict[str, Any]) -> str:
    pwd = text_of(asked, "pwd")
    if not is_hash(pwd):
        raise BadHit("pwd must be an argon2id hash")
    return pwd


def _hosts_of(asked: dict[str, Any]) -> list[str]:
    hosts = asked.get("hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise BadHit("hosts must be a list of texts")
    return hosts


def _text_in(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise BadHit(f"{name} must be text")
    return value
