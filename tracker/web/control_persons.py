"""The control socket's part about persons: erase, export, receipts. Only HTTP lies here."""

from aiohttp import web

from tracker.errors import TrackerError
from tracker.web.control_json import SERVICES, answer, body_of, stream
from tracker.web.control_services import Persons


def person_routes() -> list[web.RouteDef]:
    """POST /persons/forget and /persons/export {"vid"|"uid"|"email": ...}, GET /persons/receipts/{id}."""
    return [
        web.post("/persons/forget", _forget),
        web.post("/persons/export", _export),
        web.get("/persons/receipts/{receipt}", _receipt),
    ]


async def _forget(request: web.Request) -> web.Response:
    return answer(await _persons(request).forget(await body_of(request)))


async def _export(request: web.Request) -> web.StreamResponse:
    persons, said = _persons(request), await body_of(request)
    persons.check(said)  # refused before the first byte of the answer
    return await stream(request, persons.export(said))


async def _receipt(request: web.Request) -> web.Response:
    told = await _persons(request).receipt(request.match_info["receipt"])
    if told is None:
        raise TrackerError("there is no such receipt")
    return answer(told)


def _persons(request: web.Request) -> Persons:
    persons = request.app[SERVICES].persons
    if persons is None:
        raise TrackerError("this server keeps nothing of persons")
    return persons
