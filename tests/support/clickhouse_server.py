"""ClickHouse's HTTP interface over the engine in this process: for tests of the network path.

    python -m tests.support.clickhouse_server --folder F --port P [--users FILE] [--cert FILE --key FILE]

A request gets a handle of its own with its settings and database, as in a real server, so requests run at
once and do not disturb one another. USERS is a JSON object, name -> {"password", "readonly": 1 | 2, "may":
[verbs]}; without it there is `default` with no password. What should go wrong stands in F.wrongs.json beside
the folder, see `clickhouse_wrongs`. Sessions, multipart forms and compressed answers are left out: the driver
as we use it asks for none.
"""

import argparse
import asyncio
import base64
import gzip
import json
import os
import signal
import ssl
import uuid
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import zstandard
from aiohttp import web

from tests.support.clickhouse_executor import Asked, Executor, Failed, User
from tests.support.clickhouse_wrongs import Wrongs, statement, wrongs_of

KEEP_ALIVE_SECONDS = 10.0
MOST_BYTES = 2**30

TRANSPORT = frozenset(
    {
        "query", "database", "default_format", "user", "password", "quota_key", "query_id", "session_id",
        "session_timeout", "session_check", "role", "compress", "decompress", "buffer_size",
        "wait_end_of_query", "stacktrace", "client_protocol_version",
    }
)  # fmt: skip
"""Names in the URL that are no settings."""

INFLATE: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "lz4": lz4.frame.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}

STATUS: Mapping[int, int] = {
    **dict.fromkeys((192, 193, 512, 516), 403),
    **dict.fromkeys((6, 26, 27, 32, 33, 36, 38, 41, 43, 53, 62, 69, 70, 72, 117, 130, 131, 376, 377), 400),
    **dict.fromkeys((16, 46, 47, 50, 56, 60, 63, 73, 78, 81, 115), 404),
    **dict.fromkeys((76, 209, 439), 503),
    48: 501,
    159: 408,
    194: 401,
    381: 411,
}
"""Error code -> HTTP's, as a server maps them; 500 for the rest."""


class Door:
    """The requests: who it is, what is asked, what goes wrong, and how it is answered."""

    def __init__(self, executor: Executor, users: Mapping[str, User], wrongs: Wrongs) -> None:
        self._executor = executor
        self._users = users
        self._wrongs = wrongs

    async def ping(self, _: web.Request) -> web.Response:
        """Whether it is there."""
        return web.Response(text="Ok.\n")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A statement in the URL, the body, or in both."""
        body = await request.read()
        try:
            user = self._known(request)
            asked = _asked(request, body)
            if not asked.sql.strip():
                return web.Response(text="Ok.\n")
            _judge(asked, user)
            return await self._answer(request, asked, user)
        except Failed as failure:
            return self._complaint(failure)

    async def _answer(self, request: web.Request, asked: Asked, user: User) -> web.StreamResponse:
        rule = self._wrongs.rule(asked.statement)
        does = rule.get("does", "")
        await self._before(request, rule)
        if does == "status":
            return web.Response(status=rule["status"], text=rule.get("text", ""))
        done = await self._executor.run(asked, user)
        match does:
            case "complain-after":
                raise self._told(rule)
            case "hang-after":
                await asyncio.Event().wait()
            case "close-after":
                _close(request)
            case "half":
                _write_half(request, done.body)
            case "die-after":
                os.kill(os.getpid(), signal.SIGKILL)
            case "short":
                return web.Response(body=_first_lines(done.body), headers=self._headers({}))
            case "error-behind-200":
                error = self._text(self._told(rule)).encode()
                return web.Response(body=done.body[: len(done.body) // 2] + error, headers=self._headers({}))
        return web.Response(body=done.body, headers=self._headers(done.summary))

    async def _before(self, request: web.Request, rule: Mapping[str, Any]) -> None:
        match rule.get("does"):
            case "complain":
                raise self._told(rule)
            case "hang":
                await asyncio.Event().wait()
            case "close":
                _close(request)
                raise asyncio.CancelledError
            case "slow":
                await asyncio.sleep(rule["seconds"])
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)

    def _told(self, rule: Mapping[str, Any]) -> Failed:
        return Failed(rule["code"], rule.get("text", "as the test wants it."))

    def _known(self, request: web.Request) -> User:
        name, password = _credentials(request)
        user = self._users.get(name)
        if user is None or user.password != password:
            raise Failed(
                516,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return user

    def _headers(self, summary: Mapping[str, str]) -> dict[str, str]:
        return {
            "X-ClickHouse-Summary": json.dumps(summary),
            "X-ClickHouse-Query-Id": str(uuid.uuid4()),
            "X-ClickHouse-Server-Display-Name": "test",
            "X-ClickHouse-Timezone": self._executor.timezone,
        }

    def _text(self, failure: Failed) -> str:
        name, version = self._executor.name_of(failure.code), self._executor.version
        named = "" if f"({name})" in failure.text else f" ({name})"
        return f"Code: {failure.code}. DB::Exception: {failure.text}{named} (version {version})\n"

    def _complaint(self, failure: Failed) -> web.Response:
        headers = {**self._headers({}), "X-ClickHouse-Exception-Code": str(failure.code)}
        return web.Response(status=STATUS.get(failure.code, 500), text=self._text(failure), headers=headers)


def _credentials(request: web.Request) -> tuple[str, str]:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        name, _, password = base64.b64decode(value).decode().partition(":")
        return name, password
    name = request.headers.get("X-ClickHouse-User") or request.query.get("user") or "default"
    return name, request.headers.get("X-ClickHouse-Key") or request.query.get("password") or ""


def _asked(request: web.Request, body: bytes) -> Asked:
    inflated = INFLATE[request.headers.get("Content-Encoding", "").lower()](body)
    sql = request.query.get("query", "").encode()
    whole = sql + b"\n" + inflated if sql else inflated
    names = request.query.keys() - TRANSPORT
    return Asked(
        whole,
        request.query.get("database") or request.headers.get("X-ClickHouse-Database") or "default",
        {name: request.query[name] for name in sorted(names) if not name.startswith("param_")},
        {name[6:]: request.query[name] for name in names if name.startswith("param_")},
        request.query.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated",
        statement(whole),
    )


def _judge(asked: Asked, user: User) -> None:
    """Raises Failed when this user may not do this."""
    if user.readonly == 1 and asked.settings:
        raise Failed(164, f"Cannot modify '{min(asked.settings)}' setting in readonly mode.")
    if user.may is not None and asked.statement.verb not in user.may:
        grant = f"{asked.statement.verb.upper()} ON {asked.database}.{asked.statement.table or '*'}"
        needs = f"To execute this query, it's necessary to have the grant {grant}."
        raise Failed(497, f"{user.name}: Not enough privileges. {needs}")


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _write_half(request: web.Request, body: bytes) -> None:
    """The head, and half of the body; half of the head for an answer without a body."""
    head = f"HTTP/1.1 200 OK\r\nX-ClickHouse-Summary: {{}}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    if request.transport is not None:
        request.transport.write(head + body[: len(body) // 2] if body else head[: len(head) // 2])
        request.transport.close()


def _first_lines(body: bytes) -> bytes:
    """Half of the lines, without the comma behind the last one, so that nothing looks missing."""
    lines = body.splitlines()
    return b"\n".join(lines[: len(lines) // 2]).removesuffix(b",") + b"\n"


def _users(path: Path | None) -> Mapping[str, User]:
    known = json.loads(path.read_bytes()) if path else {"default": {}}
    return {
        name: User(
            name,
            said.get("password", ""),
            said.get("readonly", 0),
            tuple(verb.lower() for verb in said["may"]) if "may" in said else None,
        )
        for name, said in known.items()
    }


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--users", type=Path)
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    typed = parser.parse_args()
    wrongs = Wrongs(wrongs_of(typed.folder))
    door = Door(Executor(typed.folder), _users(typed.users), wrongs)
    app = web.Application(client_max_size=MOST_BYTES)
    app.router.add_get("/ping", door.ping)
    app.router.add_route("*", "/", door.answer)
    asyncio.run(_serve(app, typed.port, _tls(typed.cert, typed.key)))


async def _serve(app: web.Application, port: int, tls: ssl.SSLContext | None) -> None:
    """Until SIGTERM. Bodies come as they were sent: what is packed is told apart here."""
    runner = web.AppRunner(
        app,
        auto_decompress=False,
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        shutdown_timeout=1.0,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    main()
