"""What a running server answers to its owner's commands: questions, records, the spool, dead letters, status.

Only HTTP lies here: routes and errors as JSON; the routes of the spool are in control_spool.py. The work is
done by the services that app.py hands in; the socket itself is control_socket.py's.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tracker.errors import BadHit, CannotStore, QueryError, TrackerError
from tracker.metrics import Metrics
from tracker.web.control_accounts import account_routes
from tracker.web.control_backup import backup_routes
from tracker.web.control_json import MAX_ROWS, SERVICES, answer, body_of, number_of, text_of
from tracker.web.control_persons import person_routes
from tracker.web.control_prune import prune_routes
from tracker.web.control_send import KINDS, ROUTE, Receiver, Tally
from tracker.web.control_services import ControlServices, Json, Questions
from tracker.web.control_spool import spool_routes

__all__ = ["ControlServices", "make_control"]

log = logging.getLogger(__name__)

MAX_TIMEOUT_SECONDS = 3600.0
MAX_COMMAND_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
"""What one commit of `send` takes at most."""
DISCARD_SECONDS = 5.0


def make_control(services: ControlServices) -> web.Application:
    """The application that answers the commands; whoever can reach it is trusted."""
    app = web.Application(middlewares=[_errors_as_json], client_max_size=MAX_COMMAND_BYTES)
    app[SERVICES] = services
    app.add_routes(
        [
            web.get("/status", _status),
            web.post("/sql", _sql),
            web.post("/send", _send),
            *spool_routes(),
            *backup_routes(),
            *account_routes(),
            *prune_routes(),
            *person_routes(),
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
        return answer({"error": refusal.text or refusal.reason}, refusal.status)
    except CannotStore as failure:
        return answer({"error": failure.reason}, 503)
    except (QueryError, BadHit) as refusal:
        return answer({"error": str(refusal)}, 400)
    except TrackerError as failure:
        return answer({"error": str(failure)}, 409)
    except Exception:  # the last resort of a command: its owner gets an answer, the log the traceback
        log.exception("command failed", extra={"fields": {"route": request.path}})
        return answer({"error": "the server failed; its log says more"}, 500)


async def _status(request: web.Request) -> web.Response:
    return answer(await request.app[SERVICES].status())


async def _sql(request: web.Request) -> web.Response:
    asked = await body_of(request)
    store = _store_in(request.app[SERVICES].questions, asked)
    found = await store.query(
        text_of(asked, "sql"),
        max_rows=int(number_of(asked, "max_rows", 1, MAX_ROWS)),
        timeout_seconds=number_of(asked, "timeout_seconds", 0.001, MAX_TIMEOUT_SECONDS),
    )
    rows = [list(row) for row in found.rows]
    return answer({"columns": list(found.columns), "rows": rows, "is_cut": found.is_cut})


def _store_in(stores: Mapping[str, Questions], asked: Json) -> Questions:
    """The store that was named, else the first. Raises QueryError."""
    if not stores:
        raise QueryError("no configured store can answer questions")
    name = text_of(asked, "store") if "store" in asked else next(iter(stores))
    if name not in stores:
        raise QueryError(f"no store is called {name}; there are: {', '.join(stores)}")
    return stores[name]


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
    return answer(_told(tally, error), status)


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
