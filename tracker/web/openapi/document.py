"""The description put together: an operation for every route that this server has."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

import orjson
from aiohttp import web

from tracker import __version__
from tracker.web.answers import JSON, Answer
from tracker.web.openapi.parts import REFUSALS, SCHEMAS, SECURITY, reference
from tracker.web.openapi.routes import ALL, ALWAYS, Operation
from tracker.web.requests import RequestReader
from tracker.web.routes import Route

Methods = Mapping[str, Collection[str]]
"""A route's name to its methods."""


def document(methods: Methods, version: str) -> dict[str, Any]:
    """The description of the routes that have these methods; `version` is v1."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ALL:
        if one.method.upper() in methods.get(one.route, ()):
            path = "/" + one.path.replace("{v}", version)
            paths.setdefault(path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tracker",
            "version": __version__,
            "description": "A self-hosted event collector. What was answered with 2xx is stored.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "responses": {f"Status{status}": told for status, told in REFUSALS.items()},
            "securitySchemes": dict(SECURITY),
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    words = one.path.replace("{v}/", "").replace("{", "").replace("}", "").strip("/")
    told: dict[str, Any] = {
        "operationId": f"{one.method} {words}".replace("/", "-").replace(" ", "-"),
        "summary": one.meaning,
        "responses": {str(one.status): _answer(one), **_refusals(one), **_special(one)},
        "security": list(one.security),
    }
    if one.parameters:
        told["parameters"] = list(one.parameters)
    if one.body:
        media = {"schema": reference(one.body), "example": one.example}
        told["requestBody"] = {"required": True, "content": {"application/json": media}}
    if one.is_old:
        told["deprecated"] = True
    return told


def _answer(one: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {"description": one.meaning}
    if one.content:
        told["content"] = {
            media: {"schema": schema} if schema else {} for media, schema in one.content.items()
        }
    if one.status == 302:
        told["headers"] = {"Location": {"required": True, "schema": {"type": "string"}}}
    return told


def _refusals(one: Operation) -> dict[str, Any]:
    statuses = sorted(ALWAYS | one.refusals)
    return {str(status): reference(f"Status{status}", "responses") for status in statuses}


def _special(one: Operation) -> dict[str, Any]:
    return {str(status): told for status, told in one.special.items()}


class Description:
    """Answers the description of the routes, as they are when it is asked for first."""

    def __init__(self, reader: RequestReader, version: str) -> None:
        self._reader = reader
        self._version = version
        self.methods: Methods = {}

    def of(self, routes: Iterable[Route]) -> None:
        """These are the routes."""
        self.methods = {name: methods for route in routes for name, methods in route.methods.items()}

    async def answer(self, request: web.BaseRequest) -> Answer:
        """The description as JSON."""
        return Answer(200, JSON + self._reader.surroundings(request).cors, self._written)

    @cached_property
    def _written(self) -> bytes:
        return orjson.dumps(document(self.methods, self._version))
