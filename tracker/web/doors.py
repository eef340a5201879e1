"""Who may come in, and who has to leave: the bounds on all connections together, looked at once a second.

What a connection is doing it knows itself (`connection`); how many file descriptors there are, the system.
"""

import asyncio
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiohttp import web

from tracker.errors import TooLarge
from tracker.metrics import Metrics
from tracker.web.addresses import is_within, parse_address
from tracker.web.connection import Connection
from tracker.web.room import Room
from tracker.web.settings import WebSettings

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SMALL_BYTES = 16 * 1024
"""Up to here a connection's unread bytes are not counted among those of all."""
PINGS_BYTES = 64 * 1024
"""So much may come on a WebSocket without any message: control frames."""
FRAMING = 2
"""A body may take so many times its bound with its framing (chunk sizes and their extensions)."""
RESERVED_DESCRIPTORS = 256
"""For the spool, the stores, the control socket and files that are sent."""
FULL = "too many connections on this node\n"
FULL_OF_YOU = "too many connections of this address\n"


class Doors:
    """All connections of one listener."""

    def __init__(self, settings: WebSettings, metrics: Metrics) -> None:
        self._limits = settings.limits
        self._trusted = settings.trusted_proxies
        self._ended = metrics.connections_ended
        self._statuses = metrics.requests
        self._max_open = descriptors_for(settings.limits.max_open_connections)
        self._max_raw = settings.limits.max_header_bytes + FRAMING * settings.limits.max_body_bytes
        self._inside: dict[Connection, None] = {}
        self._by_address: Counter[bytes] = Counter()
        self._room: Room[Connection] = Room(settings.limits.max_bodies_in_memory)
        self._nobody_can_go = False
        self._watching: asyncio.Task[None] | None = None
        self.mark = min(SMALL_BYTES, settings.limits.max_header_bytes)
        metrics.open_connections.set_function(lambda: len(self._inside))
        metrics.unread_bytes.set_function(lambda: self._room.taken)

    def start(self) -> None:
        """Look at all connections once a second, from now on."""
        self._watching = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Look no more. Safe twice."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._nobody_can_go = False
            if not is_file_free():
                # Else the loop would be told without end of clients that it cannot accept.
                _log.warning("no file is free", extra={"fields": {"connections": len(self._inside)}})
                self._make_room()
            for connection in list(self._inside):
                self.look(connection, loop.time())
                connection.seen()

    def enter(self, connection: Connection) -> None:
        """Let a new connection in, or refuse it."""
        connection.address = address_of(connection.peername)
        self._inside[connection] = None
        self._by_address[connection.address] += 1
        if len(self._inside) > self._max_open and not self._make_room():
            self._turn_away(connection, 503, FULL, "full")
        elif self._is_share_spent(connection):
            self._turn_away(connection, 429, FULL_OF_YOU, "address")

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._room.leave(connection)
        self._inside.pop(connection, None)
        self._by_address[connection.address] -= 1
        if self._by_address[connection.address] <= 0:
            del self._by_address[connection.address]

    def grew(self, connection: Connection) -> None:
        """Judge a connection whose unread bytes are beyond the mark."""
        if connection.is_leaving:
            return
        if connection.is_waiting and connection.unread > self._limits.max_header_bytes:
            self._refuse(
                connection, 431, f"the head has more than {self._limits.max_header_bytes} bytes", "head"
            )
        elif connection.unread > self._max_raw and not connection.is_socket:
            connection.give_up(TooLarge(f"the request has more than {self._max_raw} bytes"))
        self._room.hold(connection, connection.unread)
        if (who := self._room.who_gives_way()) is not None:
            self._end("memory")
            who.give_way()
            self._room.leave(who)

    def shrank(self, connection: Connection) -> None:
        """Its bytes are dealt with."""
        self._room.leave(connection)

    def look(self, connection: Connection, now: float) -> None:
        """End a connection that took too long over something."""
        if self._does_not_take(connection, now):
            self._end("write")
            connection.cut()
        elif connection.is_socket:
            if self._owes(connection, connection.unread > PINGS_BYTES, now, self._limits.body_seconds):
                self._end("message")
                connection.give_way()
        elif not connection.is_waiting:
            connection.since = 0.0
        elif connection.has_said_all:
            connection.force_close()
        elif self._owes(
            connection, connection.is_new or connection.unread > 0, now, self._limits.header_seconds
        ):
            self._end_of_patience(connection)

    def _end_of_patience(self, connection: Connection) -> None:
        if connection.unread:
            self._refuse(connection, 408, "the request's head did not come in time", "head")
        else:
            self._end("silent")
            connection.force_close()

    def _does_not_take(self, connection: Connection, now: float) -> bool:
        wire = connection.wire
        if wire is None or not wire.get_write_buffer_size():
            connection.stuck_since = 0.0
            return False
        connection.stuck_since = connection.stuck_since or now
        return 0 < self._limits.write_seconds < now - connection.stuck_since

    def _owes(self, connection: Connection, is_owing: bool, now: float, seconds: float) -> bool:
        """Whether it has owed us the rest of something for too long (0 seconds: never)."""
        connection.since = (connection.since or now) if is_owing else 0.0
        return is_owing and 0 < seconds < now - connection.since

    def _is_share_spent(self, connection: Connection) -> bool:
        most = self._limits.max_connections_per_address
        if not 0 < most < self._by_address[connection.address]:
            return False
        peer = connection.peername
        return not is_within(parse_address(str(peer[0]) if peer else ""), self._trusted)

    def _make_room(self) -> bool:
        """Close some: first those that owe us a request, then idle ones, the oldest first."""
        if self._nobody_can_go:
            return False
        waiting = [one for one in self._inside if one.is_waiting]
        going = list(islice(_slow_then_idle(waiting), 1 + self._max_open // 100))
        for connection in going:
            self._end("idle")
            connection.force_close()
        self._nobody_can_go = not going
        return bool(going)

    def _turn_away(self, connection: Connection, status: int, reason: str, why: str) -> None:
        self._count(status, why)
        connection.turn_away(status, reason, b"Retry-After: 1\r\n")

    def _refuse(self, connection: Connection, status: int, reason: str, why: str) -> None:
        self._count(status, why)
        connection.refuse(status, reason)

    def _count(self, status: int, why: str) -> None:
        self._statuses.labels("connection", str(status)).inc()
        self._end(why)

    def _end(self, why: str) -> None:
        self._ended.labels(why).inc()
        _log.warning("connection ended early", extra={"fields": {"reason": why}})


def _slow_then_idle(waiting: list[Connection]) -> Iterator[Connection]:
    yield from (one for one in waiting if one.since)
    yield from (one for one in waiting if not one.since and one.is_quiet)


class GuardedServer(web.Server):
    """aiohttp's server, whose connections go through the doors."""

    def __init__(self, handler: Any, doors: Doors, **settings: Any) -> None:
        super().__init__(handler, request_factory=settings.pop("request_factory", None))
        self._doors = doors
        self._settings = settings

    def __call__(self) -> Connection:
        """A new connection."""
        return Connection(self, self._doors, loop=self._loop, **self._settings)


def is_file_free() -> bool:
    """Whether this process may open one more file."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def address_of(peer: Any) -> bytes:
    """Whom a connection counts for: an IPv4 address, or an IPv6 client's /64 network; b"" if unknown."""
    if not isinstance(peer, tuple):
        return b""
    host = str(peer[0]).partition("%")[0]
    try:
        return socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return _network_of(host)


def _network_of(host: str) -> bytes:
    try:
        packed = socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return b""
    return packed[12:] if packed.startswith(b"\0" * 10 + b"\xff\xff") else packed[:8]


def descriptors_for(wanted: int) -> int:
    """How many connections there can be: as many as wanted, less when the system allows fewer files.

    Raises the process's own limit on open files as far as it may.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    possible = hard - min(RESERVED_DESCRIPTORS, hard // 2)
    if possible < wanted:
        _log.warning(
            "fewer connections than configured", extra={"fields": {"possible": possible, "wanted": wanted}}
        )
    return min(wanted, possible)
