"""What every command of the control socket shares: JSON in, JSON out, and checks of what was asked."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from aiohttp import web

from tracker.errors import BadHit, TrackerError
from tracker.web.control_services import ControlServices, Export, Json

SERVICES = web.AppKey("services", ControlServices)
MAX_ROWS = 1_000_000
MAX_ID = 10**18 - 1


async def body_of(request: web.Request) -> dict[str, Any]:
    """The command as it was sent. Raises BadHit."""
    try:
        asked = orjson.loads(await request.read())
    except orjson.JSONDecodeError as failure:
        raise BadHit(f"not JSON: {failure}") from failure
    if not isinstance(asked, dict):
        raise BadHit("a command is a JSON object")
    return asked


def text_of(asked: Json, name: str) -> str:
    """A text that must be given. Raises BadHit."""
    value = asked.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadHit(f"{name} must be text")
    return value


def number_of(asked: Json, name: str, least: float, most: float) -> float:
    """A number that must be given, within bounds. Raises BadHit."""
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadHit(f"{name} must be a number from {least:g} to {most:g}")
    return value


def number_in(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number of a query string, from 1. Raises BadHit."""
    text = query.get(name, str(default))
    return int(number_of({name: int(text) if text.isascii() and text.isdigit() else text}, name, 1, most))


def letters_of(asked: Json) -> list[int] | None:
    """Ids of dead letters, None for all. Raises BadHit."""
    letters = asked.get("letters")
    if letters is None and asked.get("all") is True:
        return None
    if not isinstance(letters, list) or not all(_is_id(letter) for letter in letters):
        raise BadHit('say which: "letters": [numbers], or "all": true')
    return letters


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= MAX_ID


def filters_of(asked: Json) -> tuple[str, str, str]:
    """Sink, table and a part of the reason, '' where all are meant. Raises BadHit."""
    values = [asked.get(name, "") for name in ("sink", "table", "reason")]
    if not all(isinstance(value, str) for value in values):
        raise BadHit("sink, table and reason are text")
    return (values[0], values[1], values[2])


def answer(value: Json, status: int = 200) -> web.Response:
    """Any value as JSON."""
    try:
        body = orjson.dumps(value)
    except TypeError:
        # orjson knows no integers beyond 64 bits; a sum in a question can be one.
        body = json.dumps(value, default=str).encode()
    return web.Response(body=body, status=status, content_type="application/json")


async def stream(request: web.Request, parts: Export) -> web.StreamResponse:
    """Lines as they come; the last line, {"end": ...} or {"error": ...}, says whether that was all."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # whoever goes away has enough
        async with contextlib.aclosing(parts):
            async for line in _lines(parts):
                await response.write(line)
        await response.write_eof()
    return response


async def _lines(parts: Export) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield part if isinstance(part, bytes) else orjson.dumps({"end": part}) + b"\n"
    except TrackerError as failure:
        yield orjson.dumps({"error": str(failure)}) + b"\n"
