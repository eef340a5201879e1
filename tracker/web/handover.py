"""Rolling restart: a new process takes the listening sockets from the one that runs, which then steps down.

Both hold the same sockets, so that no connection is refused in between: it waits in the kernel's queue. The
conversation, over a Unix socket beside the control socket that only the owner can open:

    new  "listeners"    old  one line of JSON, with the sockets
    new  "stop"         old  "stopping"; it ends as after SIGTERM, but delivers nothing more
                        old  closes the connection by ending

Until "stop" is said nothing changes for the old one, whatever becomes of the new one. Who serves when is
app.py's business.
"""

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tracker.errors import ConfigError, TrackerError
from tracker.web.control_socket import bind, is_listening

log = logging.getLogger(__name__)

ENDING = ".next"
MAX_SOCKETS = 64
ANSWER_SECONDS = 5.0
"""How long either side waits for the other's next line."""
DECIDE_SECONDS = 60.0
"""How long a new process may hold the sockets before it says stop; the next one waits meanwhile."""
_CREDENTIALS = struct.Struct("3i")


def path_beside(control: Path) -> Path:
    """Where the conversation takes place, for a control socket at this path."""
    return control.with_name(control.name + ENDING)


@dataclass(frozen=True, slots=True)
class Estate:
    """What a running server leaves to the next: where it listens and how long its end may take."""

    address: str
    """As configured; a new process that is to listen elsewhere cannot use the sockets."""
    grace_seconds: float
    listeners: Sequence[socket.socket]


class Offer:
    """The old side, from `start` to `close`: answers one new process at a time. `step_down` is called when
    one says stop."""

    def __init__(self, control: Path, estate: Estate, step_down: Callable[[], None]) -> None:
        self._path = path_beside(control)
        self._estate = estate
        self._step_down = step_down
        self._listener: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._heir: socket.socket | None = None

    def start(self) -> None:
        """Listen. Where that is impossible it is logged, and no other process can take over."""
        try:
            self._listener = bind(self._path, is_replacing=True)
        except ConfigError as failure:
            log.warning("taking over is not possible", extra={"fields": {"reason": str(failure)}})
            return
        self._listener.listen()
        self._task = asyncio.create_task(self._answer_all(self._listener), name="hand-over")

    def withdraw(self) -> None:
        """Answer no other process from now on. Safe twice."""
        if self._listener is None:
            return
        if self._task is not None:
            self._task.cancel()
        self._listener.close()
        self._listener = None
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Withdraw, and let the process that took over know that everything has ended. Safe twice."""
        self.withdraw()
        if self._heir is not None:
            self._heir.close()

    async def _answer_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            caller, _ = await loop.sock_accept(listener)
            try:
                if _is_ours(caller) and await self._is_succeeded(caller):
                    self._heir = caller
                    self._step_down()
                    return
            except OSError:
                log.info("a new process gave up taking over")
            finally:
                if self._heir is not caller:
                    caller.close()

    async def _is_succeeded(self, caller: socket.socket) -> bool:
        """Hand the sockets to one caller; True when it then says stop."""
        if await _line(caller, ANSWER_SECONDS) != b"listeners\n":
            return False
        told = {"address": self._estate.address, "grace_seconds": self._estate.grace_seconds}
        descriptors = [listener.fileno() for listener in self._estate.listeners]
        socket.send_fds(caller, [json.dumps(told).encode() + b"\n"], descriptors)
        if await _line(caller, DECIDE_SECONDS) != b"stop\n":
            return False
        caller.send(b"stopping\n")
        return True


class Predecessor:
    """The new side: the server that ran before, from `find` to its end. `estate` is what it leaves."""

    def __init__(self, connection: socket.socket, estate: Estate) -> None:
        self._connection = connection
        self.estate = estate

    @classmethod
    async def find(cls, control: Path) -> "Predecessor | None":
        """The server behind this control socket and its sockets; None when none runs. Nothing changes for it.

        Raises TrackerError when it does not give them.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            connection.connect(str(path_beside(control)))
            connection.send(b"listeners\n")
            return cls(connection, await _estate(connection))
        except (FileNotFoundError, ConnectionRefusedError) as failure:
            connection.close()
            if is_listening(control):
                raise TrackerError("the running server cannot be taken over: stop it first") from failure
            return None
        except (OSError, ValueError) as failure:
            connection.close()
            raise TrackerError(
                "the running server did not hand over its sockets: it may be stopping already"
            ) from failure

    async def step_down(self) -> None:
        """Have it stop. Raises TrackerError when it does not answer: then it goes on."""
        try:
            self._connection.send(b"stop\n")
            answer = await _line(self._connection, ANSWER_SECONDS)
        except OSError as failure:
            raise TrackerError("the running server did not answer: it goes on") from failure
        if answer != b"stopping\n":
            raise TrackerError("the running server did not agree to stop: it goes on")

    @property
    def patience_seconds(self) -> float:
        """How long it may take to end."""
        return self.estate.grace_seconds + ANSWER_SECONDS

    async def ended(self) -> None:
        """Wait until it has ended and let go of everything, for `patience_seconds` at most."""
        with suppress(OSError):
            await _line(self._connection, self.patience_seconds)

    def close(self) -> None:
        """Let go of the conversation; before `step_down` the other one goes on undisturbed. Safe twice."""
        self._connection.close()


def waiting_room() -> web.Application:
    """What answers commands while neither process can."""

    async def ask_again(_: web.Request) -> web.Response:
        told = {"error": "a new server is taking over from the running one: try again in a moment"}
        return web.json_response(told, status=503)

    app = web.Application()
    app.router.add_route("*", "/{command:.*}", ask_again)
    return app


async def _estate(connection: socket.socket) -> Estate:
    """The old side's answer. Raises OSError or ValueError."""
    await _readable(connection, ANSWER_SECONDS)
    data, descriptors, _, _ = socket.recv_fds(connection, 64 * 1024, MAX_SOCKETS)
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for listener in listeners:
        listener.setblocking(False)
        listener.set_inheritable(False)
    try:
        told: Any = json.loads(data)
        return Estate(str(told["address"]), float(told["grace_seconds"]), listeners)
    except (TypeError, KeyError, ValueError) as failure:
        for listener in listeners:
            listener.close()
        raise ValueError("not an answer of this protocol") from failure


async def _readable(connection: socket.socket, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    finally:
        loop.remove_reader(connection)


async def _line(connection: socket.socket, seconds: float) -> bytes:
    """What the other side says next, empty when it has gone. Raises OSError."""
    async with asyncio.timeout(seconds):
        return await asyncio.get_running_loop().sock_recv(connection, 1024)


def _is_ours(caller: socket.socket) -> bool:
    """Whether the caller runs under our user: the file's mode says so too, but modes can be changed."""
    with suppress(OSError):
        raw = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(raw)
        return bool(user == os.geteuid())
    return False
