"""The backup's part of the control socket: a store that this process has open. Only HTTP lies here."""

from aiohttp import web

from tracker.web.control_json import SERVICES, stream, text_of


def backup_routes() -> list[web.RouteDef]:
    """GET /backup?store=NAME."""
    return [web.get("/backup", _backup)]


async def _backup(request: web.Request) -> web.StreamResponse:
    store = text_of(dict(request.query), "store")
    return await stream(request, request.app[SERVICES].backup(store))
