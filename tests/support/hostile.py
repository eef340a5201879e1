"""Clients that no decent person writes, and beside them an honest one whose events must all arrive."""

import asyncio
import contextlib
import http.client
import os
import re
import struct
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.server import Server

ATTACKER, HONEST = "127.0.0.1", "127.0.0.2"
HEAD = b"POST /tr/v1/tr/ HTTP/1.1\r\nHost: h\r\n"
UPGRADE = (
    b"GET /tr/v1/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@dataclass
class Client:
    """One raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> bool:
        """Whether it could still be sent."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def rest(self, seconds: float = 20) -> bytes:
        """Everything until the server closes or cuts the connection off."""
        answer = bytearray()
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(2**16):
                    answer += piece
        return bytes(answer)

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def connect(server: Server, address: str = ATTACKER) -> Client:
    """A connection that comes from this address of the loopback network."""
    return Client(
        *await asyncio.open_connection("127.0.0.1", server.port, local_addr=(address, 0), limit=2**25)
    )


@contextlib.asynccontextmanager
async def connected(server: Server, count: int, address: str = ATTACKER) -> AsyncIterator[list[Client]]:
    """So many connections at once."""
    clients = [await connect(server, address) for _ in range(count)]
    try:
        yield clients
    finally:
        await asyncio.gather(*(client.close() for client in clients))


def status_of(answer: bytes) -> int:
    """The first status of what was answered, 0 for no answer."""
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[1]) if found else 0


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True, rsv1: bool = False, says: int = -1) -> bytes:
    """A client's WebSocket frame, masked with zeros; `says` is its declared length when that is a lie."""
    size = len(payload) if says < 0 else says
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    if size < 126:
        head = struct.pack(">BB", first, 0x80 | size)
    elif size < 2**16:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


@dataclass
class Honest:
    """Sends one event after another from an address of its own and notes what was acknowledged."""

    server: Server
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _is_done: bool = False

    async def run(self) -> None:
        client = await connect(self.server, HONEST)
        while not self._is_done:
            eid = str(uuid.uuid4())
            body = b'{"eid": "%s", "ename": "honest"}' % eid.encode()
            started = time.monotonic()
            await client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = await client.reader.readuntil(b"\r\n\r\n")
            self.seconds.append(time.monotonic() - started)
            (self.acknowledged if status_of(answer) == 200 else self.refused).append(eid)
            await asyncio.sleep(0.02)
        await client.close()

    def stop(self) -> None:
        self._is_done = True


@contextlib.asynccontextmanager
async def honest_beside(server: Server, least: int = 5) -> AsyncIterator[Honest]:
    """An honest client meanwhile; afterwards all it sent was acknowledged, and at least so many events."""
    honest = Honest(server)
    running = asyncio.create_task(honest.run())
    try:
        yield honest
        await until(lambda: len(honest.acknowledged) >= least)
    finally:
        honest.stop()
        await asyncio.wait_for(running, 30)
    assert honest.refused == [], "an honest client was refused"


async def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    """Poll until something is so; fails when it never is."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.02)


def stored(server: Server, wanted: Iterable[str]) -> bool:
    """Whether each of these events is stored, once."""
    ids = set(wanted)
    deadline = time.monotonic() + 20
    found: list[str] = []
    while not ids <= set(found) and time.monotonic() < deadline:
        rows = server.rows("SELECT eid::text AS eid FROM events WHERE ename = 'honest'")
        found = [row["eid"] for row in rows]
    return ids <= set(found) and len(found) == len(set(found))


def count(server: Server, name: str, **labels: str) -> float:
    """One counter or gauge of /metrics, 0 when it is not there yet; labels in alphabetical order."""
    body = _metrics(server)
    told = ",".join(f'{key}="{value}"' for key, value in labels.items())
    wanted = f"{name}{{{told}}} " if told else f"{name} "
    values = [line.rpartition(" ")[2] for line in body.splitlines() if line.startswith(wanted)]
    return float(values[0]) if values else 0.0


def _metrics(server: Server) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, 10, source_address=(HONEST, 0))
    connection.request("GET", "/metrics?format=prometheus")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def ended(server: Server, reason: str) -> float:
    """How many connections were ended for this reason."""
    return count(server, "tracker_connections_ended_total", reason=reason)


def memory_mib(server: Server, name: str = "VmRSS") -> float:
    """The server's resident memory; VmHWM is the most it ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def forget_peak(server: Server) -> None:
    """VmHWM starts anew."""
    descriptor = os.open(f"/proc/{server.process.pid}/clear_refs", os.O_WRONLY)
    try:
        os.write(descriptor, b"5")
    finally:
        os.close(descriptor)


def open_files_of(process: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def processor_seconds(process: int) -> float:
    """How long a process has computed so far, on all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
