"""The yardstick: a bare aiohttp + uvloop handler that only parses the body with orjson, or only redirects."""

import argparse
import asyncio
from collections.abc import Sequence

import orjson
import uvloop
from aiohttp import web

from bench.payloads import LINK, LINK_TO

_LINKS = {LINK: LINK_TO}


async def _parse(request: web.Request) -> web.Response:
    orjson.loads(await request.read())
    return web.Response()


async def _redirect(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": _LINKS[f"{request.host}{request.path}"]})


async def _serve(port: int) -> None:
    app = web.Application(client_max_size=16 * 2**20)
    app.router.add_post("/{path:.*}", _parse)
    app.router.add_get("/readyz", _ready)
    app.router.add_get(f"/{LINK.partition('/')[2]}", _redirect)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def _ready(_: web.Request) -> web.Response:
    return web.Response()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args(arguments).port))


if __name__ == "__main__":
    main()
