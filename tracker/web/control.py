"""What a running server answers to its owner's commands: questions, records, the spool, dead letters, status.

Only HTTP lies here: routes, argument checks, errors as JSON. The work is done by the services that app.py
hands in; the socket itself is control_socket.py's.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from tracker.errors import BadHit, CannotStore, QueryError, TrackerError
from tracker.metrics import Metrics
from tracker.web.control_send import KINDS, ROUTE, Receiver, Tally
from tracker.web.control_services import ControlServices, Json

__all__ = ["ControlServices", "make_control"]

log = logging.getLogger(__name__)

MAX_ROWS = 1_000_000
MAX_TIMEOUT_SECONDS = 3600.0
MAX_COMMAND_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
"""What one commit of `send` takes at most."""
DISCARD_SECONDS = 5.0

SERVICES = web.AppKey("services", ControlServices)


def make_control(services: ControlServices) -> web.Application:
    """The application that answers the commands; whoever can reach it is trusted."""
    app = web.Application(middlewares=[_errors_as_json], client_max_size=MAX_COMMAND_BYTES)
    app[SERVICES] = services
    app.add_routes(
        [
            web.get("/status", _status),
            web.post("/sql", _sql),
            web.post("/send", _send),
            web.get("/spool", _spool_ls),
            web.post("/spool/verify", _spool_verify),
            web.post("/spool/drop-sink", _drop_sink),
            web.get("/dead", _dead_ls),
            web.get(r"/dead/{letter:\d{1,18}}", _dead_show),
            web.post("/dead/replay", _dead_replay),
            web.post("/dead/drop", _dead_drop),
        ]
    )
    return app


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        return _answer({"error": refusal.text or refusal.reason}, refusal.status)
    except CannotStore as failure:
        return _answer({"error": failure.reason}, 503)
    except (QueryError, BadHit) as refusal:
        return _answer({"error": str(refusal)}, 400)
    except TrackerError as failure:
        return _answer({"error": str(failure)}, 409)
    except Exception:  # the last resort of a command: its owner gets an answer, the log the traceback
        log.exception("command failed", extra={"fields": {"route": request.path}})
        return _answer({"error": "the server failed; its log says more"}, 500)


async def _status(request: web.Request) -> web.Response:
    return _answer(await request.app[SERVICES].status())


async def _sql(request: web.Request) -> web.Response:
    questions = request.app[SERVICES].questions
    if questions is None:
        raise QueryError("no configured store can answer questions")
    asked = await _body(request)
    answer = await questions.query(
        _text(asked, "sql"),
        max_rows=int(_number(asked, "max_rows", 1, MAX_ROWS)),
        timeout_seconds=_number(asked, "timeout_seconds", 0.001, MAX_TIMEOUT_SECONDS),
    )
    rows = [list(row) for row in answer.rows]
    return _answer({"columns": list(answer.columns), "rows": rows, "is_cut": answer.is_cut})


async def _send(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    kind = request.query.get("kind", "event")
    if kind not in KINDS:
        raise BadHit(f"unknown kind {kind!r}; one of {', '.join(KINDS)}")
    receiver = Receiver(
        services.recorder,
        kind,
        services.max_line_bytes,
        services.max_depth,
        services.clock,
        services.patience_seconds,
    )
    tally = Tally()
    error, status = None, 200
    try:
        await receiver.receive(_chunks(request), tally)
    except CannotStore as failure:
        error, status = failure.reason, 503
        await _discard(request)
    finally:
        _count(services.metrics, tally)
    return _answer(_told(tally, error), status)


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        while chunk := await request.content.read(CHUNK_BYTES):
            yield chunk
    except ConnectionError as failure:
        raise BadHit("the upload broke off") from failure


async def _discard(request: web.Request) -> None:
    """Read the rest, so that the caller is not cut off while it still sends; an endless one is, later."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while await request.content.read(CHUNK_BYTES):
                pass


def _count(metrics: Metrics, tally: Tally) -> None:
    metrics.events_received.labels(ROUTE).inc(tally.accepted + tally.rejected)
    metrics.events_rejected.labels(ROUTE, "record").inc(tally.rejected)


def _told(tally: Tally, error: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"accepted": tally.accepted, "rejected": tally.rejected, "reasons": tally.reasons}
    if error is not None:
        told |= {"error": error, "stored_through": tally.stored_through}
    return told


async def _spool_ls(request: web.Request) -> web.Response:
    return _answer(await request.app[SERVICES].spool.ls())


async def _spool_verify(request: web.Request) -> web.Response:
    return _answer(await request.app[SERVICES].spool.verify())


async def _drop_sink(request: web.Request) -> web.Response:
    asked = await _body(request)
    return _answer({"dropped": await request.app[SERVICES].spool.drop_sink(_text(asked, "sink"))})


async def _dead_ls(request: web.Request) -> web.Response:
    asked = dict(request.query)
    limit = int(_number({"limit": _as_number(asked.get("limit", "1000"))}, "limit", 1, MAX_ROWS))
    return _answer(await request.app[SERVICES].spool.dead_ls(*_filters(asked), limit))


async def _dead_show(request: web.Request) -> web.Response:
    letter = await request.app[SERVICES].spool.dead_show(int(request.match_info["letter"]))
    if letter is None:
        return _answer({"error": f"there is no dead letter {request.match_info['letter']}"}, 404)
    return _answer(letter)


async def _dead_replay(request: web.Request) -> web.Response:
    asked = await _body(request)
    done = await request.app[SERVICES].spool.dead_replay(_letters(asked), *_filters(asked))
    return _answer({"replayed": done})


async def _dead_drop(request: web.Request) -> web.Response:
    asked = await _body(request)
    done = await request.app[SERVICES].spool.dead_drop(_letters(asked), *_filters(asked))
    return _answer({"dropped": done})


def _letters(asked: Json) -> list[int] | None:
    letters = asked.get("letters")
    if letters is None and asked.get("all") is True:
        return None
    if not isinstance(letters, list) or not all(type(letter) is int for letter in letters):
        raise BadHit('say which: "letters": [numbers], or "all": true')
    return letters


def _filters(asked: Json) -> tuple[str, str, str]:
    values = [asked.get(name, "") for name in ("sink", "table", "reason")]
    if not all(isinstance(value, str) for value in values):
        raise BadHit("sink, table and reason are text")
    return (values[0], values[1], values[2])


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        asked = orjson.loads(await request.read())
    except orjson.JSONDecodeError as failure:
        raise BadHit(f"not JSON: {failure}") from failure
    if not isinstance(asked, dict):
        raise BadHit("a command is a JSON object")
    return asked


def _text(asked: Json, name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadHit(f"{name} must be text")
    return value


def _number(asked: Json, name: str, least: float, most: float) -> float:
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadHit(f"{name} must be a number from {least:g} to {most:g}")
    return value


def _as_number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


def _answer(value: Json, status: int = 200) -> web.Response:
    try:
        body = orjson.dumps(value)
    except TypeError:
        # orjson knows no integers beyond 64 bits; a sum in a question can be one.
        body = json.dumps(value, default=str).encode()
    return web.Response(body=body, status=status, content_type="application/json")
