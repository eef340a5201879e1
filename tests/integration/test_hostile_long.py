"""The same attacks in their full size: many connections for long, memory and latency measured."""

import asyncio
import resource
from pathlib import Path

import pytest

from tests.support.hostile import (
    HEAD,
    UPGRADE,
    Client,
    connect,
    count,
    ended,
    frame,
    honest_beside,
    memory_mib,
    status_of,
    stored,
    until,
)
from tests.support.server import Server, running
from tests.support.services import needed

pytestmark = pytest.mark.long

SOCKETS = 10_000
OTHER_FILES = 500
MOST_KIB = 40
MOST_SECONDS = 2.0
SLOW = 1_000


async def upgraded(server: Server, name: str) -> Client:
    client = await connect(server, f"127.0.1.{hash(name) % 200 + 1}")
    await client.send(UPGRADE + b"\r\n")
    assert status_of(await client.reader.readuntil(b"\r\n\r\n")) == 101
    return client


async def stay_alive(clients: list[Client]) -> None:
    """Send pongs, as any client does that is asked for signs of life; nothing else is ever sent."""
    while True:
        await asyncio.sleep(10)
        for client in list(clients):
            client.writer.write(frame(b"", opcode=10))
            await asyncio.sleep(0)


async def test_ten_thousand_idle_websockets_take_little_and_honest_clients_are_served(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets = min(SOCKETS, hard - OTHER_FILES) if hard != resource.RLIM_INFINITY else SOCKETS
    if sockets < SOCKETS / 10:
        needed(f"leave for {SOCKETS / 10:g} open files, {hard} are allowed")
    with running(tmp_path, TrustedProxies=[]) as server:
        before = memory_mib(server)
        clients: list[Client] = []
        living = asyncio.create_task(stay_alive(clients))
        for number in range(sockets):
            clients.append(await upgraded(server, str(number)))
        assert count(server, "tracker_websockets") == sockets
        each = (memory_mib(server) - before) * 1024 / sockets
        print(f"{sockets} idle WebSockets, {each:.1f} KiB each")
        assert each < MOST_KIB
        async with honest_beside(server, least=200) as honest:
            pass
        assert sorted(honest.seconds)[-2] < MOST_SECONDS
        living.cancel()
        for client in clients:
            client.writer.transport.abort()
        await until(lambda: count(server, "tracker_websockets") == 0)
        assert stored(server, honest.acknowledged)


async def test_a_thousand_slow_clients_for_twenty_seconds_keep_nobody_waiting(tmp_path: Path) -> None:
    with running(tmp_path, TrustedProxies=[]) as server:
        clients = [await connect(server) for _ in range(SLOW)]
        before = memory_mib(server)
        async with honest_beside(server) as honest:
            for number, client in enumerate(clients):
                await client.send(HEAD + (b"Content-Length: 1000\r\n\r\n{" if number % 2 else b"X-A: "))
            for _ in range(25):
                await asyncio.gather(*(client.send(b" ") for client in clients))
                await asyncio.sleep(1)
        added = memory_mib(server, "VmHWM") - before
        print(f"{added:.0f} MiB more memory at most, slowest honest answer {max(honest.seconds):.3f} s")
        assert ended(server, "head") == SLOW / 2
        assert count(server, "tracker_requests_total", route="tr", status="408") == SLOW / 2
        assert sorted(honest.seconds)[-2] < MOST_SECONDS
        assert added < 100
        for client in clients:
            await client.close()
        assert stored(server, honest.acknowledged)
