"""Pruning's part of the control socket. Only HTTP lies here."""

from aiohttp import web

from tracker.errors import BadHit
from tracker.web.control_json import SERVICES, answer, body_of
from tracker.web.control_services import Json


def prune_routes() -> list[web.RouteDef]:
    """POST /prune {"logs_only": false, "dry_run": false}."""
    return [web.post("/prune", _prune)]


async def _prune(request: web.Request) -> web.Response:
    asked = await body_of(request)
    return answer(await request.app[SERVICES].prune(_flag(asked, "logs_only"), _flag(asked, "dry_run")))


def _flag(asked: Json, name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise BadHit(f"{name} must be true or false")
    return value
