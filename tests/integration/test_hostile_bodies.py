"""Bombs, hoarded bodies and WebSockets without measure against the real server: memory is bounded in all."""

import asyncio
import gzip
import os
import struct
import zlib
from collections.abc import Callable, Iterator

import lz4.block  # type: ignore[import-untyped]  # it ships no types
import lz4.frame  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard

from tests.support.hostile import (
    HEAD,
    HONEST,
    UPGRADE,
    Client,
    connect,
    connected,
    count,
    ended,
    forget_peak,
    frame,
    honest_beside,
    memory_mib,
    status_of,
    stored,
    until,
)
from tests.support.server import Server, running

MIB = 2**20
INFLATED_MIB = 16
BOMB = b"0" * (32 * MIB)
TOO_BIG, TRY_LATER = 1009, 1013


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all attacks, with short patience and little room."""
    limits = {"MaxBodiesInMemory": 8 * MIB, "MaxBodyBytes": 4 * MIB, "MaxInflatedBytes": INFLATED_MIB * MIB}
    with running(
        tmp_path_factory.mktemp("hostile"), TrustedProxies=[], ReadTimeoutSeconds=2, Limits=limits
    ) as one:
        yield one


async def post(client: Client, body: bytes, encoding: bytes = b"") -> int:
    head = b"Content-Encoding: %b\r\n" % encoding if encoding else b""
    await client.send(HEAD + head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    status = status_of(await client.rest(60))
    await client.close()
    return status


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (b"gzip", lambda data: gzip.compress(data, 9)),
        (b"zstd", zstandard.compress),
        (b"lz4", lz4.frame.compress),
        (b"gzip, gzip", lambda data: gzip.compress(gzip.compress(data, 1), 9)),
    ],
)
@pytest.mark.long
async def test_bombs_in_parallel_are_413_and_take_the_memory_of_one(
    server: Server, encoding: bytes, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(BOMB)
    assert len(bomb) < len(BOMB) / 100
    assert await post(await connect(server), bomb, encoding) == 413
    of_one = memory_mib(server, "VmHWM")
    forget_peak(server)
    async with honest_beside(server) as honest, connected(server, 20) as clients:
        statuses = await asyncio.gather(*(post(client, bomb, encoding) for client in clients))
    assert statuses == [413] * 20
    assert memory_mib(server, "VmHWM") - of_one < 4 * INFLATED_MIB
    assert stored(server, honest.acknowledged)


async def test_bodies_of_countless_values_are_413_before_they_are_read(server: Server) -> None:
    bomb = gzip.compress(b"[" + b"[]," * (4 * MIB) + b"{}]", 9)
    before = memory_mib(server)
    forget_peak(server)
    async with honest_beside(server), connected(server, 10) as clients:
        assert await asyncio.gather(*(post(client, bomb, b"gzip") for client in clients)) == [413] * 10
    assert memory_mib(server, "VmHWM") - before < 100


@pytest.mark.long
async def test_who_hoards_room_gives_way_to_who_needs_little(server: Server) -> None:
    before = ended(server, "memory")
    forget_peak(server)
    start = memory_mib(server)
    hoard = HEAD + b"Content-Length: %d\r\n\r\n" % (4 * MIB) + b" " * (3 * MIB)
    body = b'{"ename": "modest", "pad": "%b"}' % (b"x" * 500_000)
    async with honest_beside(server) as honest, connected(server, 30) as hoarders:
        for hoarder in hoarders:
            hoarder.writer.write(hoard)
        await until(lambda: ended(server, "memory") > before)
        modest = [await connect(server, HONEST) for _ in range(3)]
        assert await asyncio.gather(*(post(client, body) for client in modest)) == [200] * 3
        statuses = [status_of(answer) for answer in await asyncio.gather(*(one.rest() for one in hoarders))]
    assert set(statuses) <= {503, 408, 0}
    assert statuses.count(503) >= 10
    assert memory_mib(server, "VmHWM") - start < 100
    await until(lambda: count(server, "tracker_unread_bytes") == 0)
    assert stored(server, honest.acknowledged)


async def upgraded(server: Server, extra: bytes = b"", address: str = "127.0.0.1") -> Client:
    client = await connect(server, address)
    await client.send(UPGRADE + extra + b"\r\n")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert status_of(head) == 101
    assert (b"permessage-deflate" in head) == (b"permessage-deflate" in extra)
    return client


async def farewell(client: Client) -> int:
    """The code with which the server closed."""
    answer = await client.rest()
    found = answer.rfind(b"\x88")
    return int(struct.unpack(">H", answer[found + 2 : found + 4])[0]) if found >= 0 else 0


def deflated(data: bytes) -> bytes:
    engine = zlib.compressobj(9, wbits=-15)
    return (engine.compress(data) + engine.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


@pytest.mark.parametrize(
    ("extra", "attack"),
    [
        (b"", frame(b"", says=2**40)),
        (b"", frame(b"x" * 600_000, fin=False) + frame(b"x" * 600_000, opcode=0, fin=False)),
        (DEFLATE, frame(deflated(BOMB), rsv1=True)),
    ],
    ids=["oversize", "fragments", "compressed"],
)
async def test_messages_beyond_their_bound_end_their_socket(
    server: Server, extra: bytes, attack: bytes
) -> None:
    before = memory_mib(server)
    forget_peak(server)
    async with honest_beside(server):
        sockets = [await upgraded(server, extra) for _ in range(8)]
        for socket in sockets:
            socket.writer.write(attack)
        codes = await asyncio.gather(*(farewell(socket) for socket in sockets))
        await asyncio.gather(*(socket.close() for socket in sockets))
    assert set(codes) == {TOO_BIG}
    assert memory_mib(server, "VmHWM") - before < 100


@pytest.mark.long
async def test_a_message_that_never_ends_ends_its_socket(server: Server) -> None:
    before = ended(server, "message")
    async with honest_beside(server):
        sockets = [await upgraded(server) for _ in range(5)]
        for socket in sockets:
            await socket.send(frame(b"x" * 100_000, fin=False))
        codes = await asyncio.gather(*(farewell(socket) for socket in sockets))
        await asyncio.gather(*(socket.close() for socket in sockets))
    assert codes == [TRY_LATER] * 5
    assert ended(server, "message") - before == 5


@pytest.mark.long
async def test_unfinished_messages_of_all_sockets_together_are_bounded(server: Server) -> None:
    before, start = ended(server, "memory"), memory_mib(server)
    forget_peak(server)
    async with honest_beside(server) as honest:
        sockets = [await upgraded(server) for _ in range(100)]
        for socket in sockets:
            socket.writer.write(frame(os.urandom(900_000), fin=False))
        await until(lambda: ended(server, "memory") - before >= 50)
        for socket in sockets:
            await socket.close()
    assert memory_mib(server, "VmHWM") - start < 100
    assert stored(server, honest.acknowledged)


async def test_binary_frames_that_lie_or_explode_are_refused_and_the_socket_goes_on(server: Server) -> None:
    client = await upgraded(server, b"")
    await client.close()
    client = await connect(server)
    await client.send(UPGRADE.replace(b"/ws ", b"/ws?ack=1 ") + b"\r\n")
    await client.reader.readuntil(b"\r\n\r\n")
    bomb = lz4.block.compress(BOMB[: 17 * MIB])
    lie = struct.pack("<I", 15 * MIB) + bomb[4:]
    flood = lz4.block.compress(b"[" + b"[]," * (4 * MIB) + b"{}]")
    for attack in (bomb, lie, flood):
        await client.send(frame(attack, opcode=2))
        assert b'"accepted":0' in await client.reader.readuntil(b"}]}")
    await client.send(frame(lz4.block.compress(b"{}"), opcode=2))
    assert b'"accepted":1' in await client.reader.readuntil(b"[]}")
    await client.close()


@pytest.mark.long
async def test_a_flood_of_pings_keeps_nobody_else_waiting_for_ever(server: Server) -> None:
    before, start = ended(server, "message"), memory_mib(server)
    forget_peak(server)
    async with honest_beside(server, least=50) as honest:
        sockets = [await upgraded(server) for _ in range(5)]
        for socket in sockets:
            socket.writer.write(frame(b"p" * 100, opcode=9) * 10_000)
        await until(lambda: ended(server, "message") - before == 5)
        for socket in sockets:
            await socket.close()
    assert memory_mib(server, "VmHWM") - start < 100
    assert stored(server, honest.acknowledged)


async def test_only_so_many_sockets_may_send_compressed_messages(server: Server) -> None:
    sockets = [await upgraded(server, DEFLATE) for _ in range(8)]
    one_more = await connect(server)
    await one_more.send(UPGRADE + DEFLATE + b"\r\n")
    head = await one_more.reader.readuntil(b"\r\n\r\n")
    assert status_of(head) == 101
    assert b"permessage-deflate" not in head
    for socket in (*sockets, one_more):
        await socket.close()
