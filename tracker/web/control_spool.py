"""The spool's part of the control socket: what waits, dead letters, tables that hold. Only HTTP lies here."""

from aiohttp import web

from tracker.errors import TrackerError
from tracker.web.control_json import (
    MAX_ROWS,
    SERVICES,
    answer,
    body_of,
    filters_of,
    letters_of,
    number_in,
    stream,
    text_of,
)

DEFAULT_LETTERS = 1000


def spool_routes() -> list[web.RouteDef]:
    """Routes below /spool and /dead."""
    return [
        web.get("/spool", _ls),
        web.get("/spool/export", _export),
        web.post("/spool/verify", _verify),
        web.post("/spool/drop-sink", _drop_sink),
        web.get("/dead", _dead_ls),
        web.get("/dead/export", _dead_export),
        web.get(r"/dead/{letter:\d{1,18}}", _dead_show),
        web.post("/dead/replay", _dead_replay),
        web.post("/dead/drop", _dead_drop),
        web.post("/dead/release", _release),
    ]


async def _ls(request: web.Request) -> web.Response:
    return answer(await request.app[SERVICES].spool.ls())


async def _export(request: web.Request) -> web.StreamResponse:
    return await stream(request, request.app[SERVICES].spool.export())


async def _verify(request: web.Request) -> web.Response:
    return answer(await request.app[SERVICES].spool.verify())


async def _drop_sink(request: web.Request) -> web.Response:
    asked = await body_of(request)
    return answer({"dropped": await request.app[SERVICES].spool.drop_sink(text_of(asked, "sink"))})


async def _dead_ls(request: web.Request) -> web.Response:
    asked = dict(request.query)
    limit = number_in(asked, "limit", DEFAULT_LETTERS, MAX_ROWS)
    return answer(await request.app[SERVICES].spool.dead.ls(*filters_of(asked), limit))


async def _dead_export(request: web.Request) -> web.StreamResponse:
    return await stream(request, request.app[SERVICES].spool.dead.export(*filters_of(dict(request.query))))


async def _dead_show(request: web.Request) -> web.Response:
    letter = await request.app[SERVICES].spool.dead.show(int(request.match_info["letter"]))
    if letter is None:
        return answer({"error": f"there is no dead letter {request.match_info['letter']}"}, 404)
    return answer(letter)


async def _dead_replay(request: web.Request) -> web.Response:
    asked = await body_of(request)
    edit = text_of(asked, "edit") if asked.get("edit") else ""
    dead = request.app[SERVICES].spool.dead
    return answer(await dead.replay(letters_of(asked), *filters_of(asked), edit))


async def _dead_drop(request: web.Request) -> web.Response:
    asked = await body_of(request)
    return answer(await request.app[SERVICES].spool.dead.drop(letters_of(asked), *filters_of(asked)))


async def _release(request: web.Request) -> web.Response:
    asked = await body_of(request)
    sink, table = text_of(asked, "sink"), text_of(asked, "table")
    if not request.app[SERVICES].release(sink, table):
        raise TrackerError(f"{table} does not hold for {sink}: there is nothing to release")
    return answer({"released": 1})
