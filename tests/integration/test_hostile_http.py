"""Hostile HTTP against the real server: each attack is counted and ended, and honest clients are served."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hostile import (
    HEAD,
    Client,
    connect,
    connected,
    count,
    ended,
    honest_beside,
    status_of,
    stored,
    until,
)
from tests.support.server import Server, running

MANY = 50
LARGE_FILE = 16 * 2**20
"""More than the system buffers for a client that does not read."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all attacks, with short patience."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "public").mkdir()
    (folder / "public" / "large.bin").write_bytes(bytes(LARGE_FILE))
    with running(
        folder,
        TrustedProxies=[],
        StaticDirectory="public",
        ReadHeaderTimeoutSeconds=1,
        ReadTimeoutSeconds=1,
        WriteTimeoutSeconds=1,
        MaxHeaderBytes=32 * 1024,
        Limits={"MaxConnectionsPerAddress": 400, "MaxBodyBytes": 256 * 1024},
    ) as one:
        yield one


async def dribble(client: Client, start: bytes, piece: bytes) -> bytes:
    """Send a start, then one piece after another until the server has had enough."""
    await client.send(start)
    answer = asyncio.create_task(client.rest())
    while not answer.done():
        await client.send(piece)
        await asyncio.sleep(0.1)
    return await answer


@pytest.mark.long
async def test_heads_and_bodies_that_come_byte_by_byte_and_silence_are_ended(server: Server) -> None:
    before = {reason: ended(server, reason) for reason in ("head", "silent")}
    late = count(server, "tracker_requests_total", route="tr", status="408")
    body = HEAD + b"Content-Length: 100\r\n\r\n{"
    async with honest_beside(server) as honest, connected(server, 3 * MANY) as clients:
        heads = [dribble(client, HEAD + b"X-A: ", b"b") for client in clients[:MANY]]
        bodies = [dribble(client, body, b" ") for client in clients[MANY : 2 * MANY]]
        silent = [client.rest() for client in clients[2 * MANY :]]
        answers = await asyncio.gather(*heads, *bodies, *silent)
    statuses = [status_of(answer) for answer in answers]
    assert set(statuses[:MANY]) == {408}
    assert set(statuses[MANY : 2 * MANY]) == {408}
    assert set(answers[2 * MANY :]) == {b""}
    assert {reason: ended(server, reason) - before[reason] for reason in before} == dict.fromkeys(
        before, MANY
    )
    assert count(server, "tracker_requests_total", route="tr", status="408") - late == MANY
    assert stored(server, honest.acknowledged)


@pytest.mark.long
async def test_a_body_that_waits_to_be_asked_for_and_never_comes_is_408(server: Server) -> None:
    client = await connect(server)
    await client.send(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ")
    await client.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"X-Long: " + b"a" * 9000 + b"\r\n", 400),
        (b"X-A: b\r\n" * 200, 400),
        (b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(60)), 431),
        (b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(60)) + b"\r\n", 431),
    ],
    ids=["one long line", "many lines", "large and endless", "large and whole"],
)
async def test_a_head_beyond_its_bounds_is_refused(server: Server, head: bytes, status: int) -> None:
    client = await connect(server)
    await client.send(b"GET /tr/v1/tr/ename/large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + head)
    assert status_of(await client.rest()) == status
    await client.close()


async def test_thousands_of_pipelined_requests_are_answered_in_order(server: Server) -> None:
    event = b"POST /tr/v1/str/ HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
    ping = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    async with honest_beside(server), connected(server, 1) as (client,):
        client.writer.write((event + ping * 19) * 150 + last)
        answer = await client.rest(60)
    assert answer.count(b"HTTP/1.1 200 OK") == 3001
    kinds = re.findall(rb'\r\n\r\n("|pong|ok)', answer)
    assert kinds == ([b'"'] + [b"pong"] * 19) * 150 + [b"ok"]


async def test_a_client_that_has_said_all_gets_all_its_answers(server: Server) -> None:
    async with connected(server, 20) as clients:
        for client in clients:
            await client.send((HEAD + b"Content-Length: 2\r\n\r\n{}") * 3)
            client.writer.write_eof()
        answers = await asyncio.gather(*(client.rest() for client in clients))
    assert [answer.count(b"HTTP/1.1 200 OK") for answer in answers] == [3] * 20


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_let_go(server: Server) -> None:
    async with connected(server, 20) as clients:
        for client in clients:
            await client.send(HEAD + b"Content-Length: 50\r\n\r\n{")
            client.writer.write_eof()
        assert await asyncio.gather(*(client.rest() for client in clients)) == [b""] * 20
    await until(lambda: count(server, "tracker_connections") == 0)


@pytest.mark.long
async def test_clients_that_never_read_are_cut_off(server: Server) -> None:
    before = ended(server, "write")
    sockets = []
    for _ in range(20):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", server.port))
        sockets.append(one)
    request = b"GET /tr/v1/pub/large.bin HTTP/1.1\r\nHost: h\r\n\r\n"
    async with honest_beside(server) as honest:
        for one in sockets:
            assert one.send(request) == len(request)
        await until(lambda: ended(server, "write") - before == len(sockets))
    for one in sockets:
        one.close()
    assert stored(server, honest.acknowledged)


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 2\r\nContent-Length: 40\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: 2\r\n folded\r\n",
        b"Content-Length: 0x2\r\n",
        b"Content-Length: 2\nX: y\r\n",
        b"Content-Length\x00: 2\r\n",
    ],
)
async def test_a_request_that_two_servers_could_read_differently_is_refused_with_all_behind_it(
    server: Server, lines: bytes
) -> None:
    before = count(server, "tracker_events_received_total", route="tr")
    client = await connect(server)
    hidden = b"GET /tr/v1/tr/ename/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    await client.send(HEAD + lines + b"\r\n{}" + hidden)
    answer = await client.rest()
    assert status_of(answer) == 400
    assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", answer)) == 1
    assert count(server, "tracker_events_received_total", route="tr") == before
    await client.close()


async def test_chunks_of_one_byte_are_a_body_like_any_other(server: Server) -> None:
    client = await connect(server)
    body = b'{"ename": "chunks", "pad": "%b"}' % (b"x" * 20_000)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert status_of(await client.reader.readuntil(b"\r\n\r\n")) == 200
    await client.close()


async def test_chunk_extensions_without_end_are_refused(server: Server) -> None:
    def refused() -> float:  # too large; on a slow machine its time may be over before it is
        return sum(count(server, "tracker_requests_total", route="tr", status=it) for it in ("413", "408"))

    before = refused()
    async with honest_beside(server), connected(server, 10) as clients:
        attack = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=" + b"e" * 640 * 1024
        for client in clients:
            client.writer.write(attack)
        answers = await asyncio.gather(*(client.rest() for client in clients))
    assert {status_of(answer) for answer in answers} <= {413, 408, 0}
    assert refused() - before == 10


async def test_an_address_has_its_share_of_connections_and_no_more(server: Server) -> None:
    before = ended(server, "address")
    async with connected(server, 380) as held:
        async with honest_beside(server), connected(server, 60) as more:
            answers = await asyncio.gather(*(client.rest() for client in more[30:]))
            assert {status_of(answer) for answer in answers} <= {429, 0}
            assert ended(server, "address") - before >= 30
            assert count(server, "tracker_requests_total", route="connection", status="429") >= 30
        assert len(held) == 380


PING = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"


async def is_served(server: Server) -> bool:
    """Whether a new client is."""
    client = await connect(server)
    await client.send(PING)
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await client.reader.read(1000)
    await client.close()
    return status_of(answer) == 200


@pytest.mark.long
async def test_a_full_house_closes_quiet_connections_and_serves_new_ones(tmp_path: Path) -> None:
    with running(tmp_path, TrustedProxies=[], Limits={"MaxOpenConnections": 100}) as server:
        async with connected(server, 99) as quiet, honest_beside(server) as honest:
            for client in quiet:
                await client.send(PING)
                assert status_of(await client.reader.readuntil(b"pong")) == 200
            served = 0
            while served < 20:
                served += await is_served(server)
            assert ended(server, "idle") > 0
            assert await quiet[0].rest() == b""
        assert stored(server, honest.acknowledged)


@pytest.mark.long
async def test_when_nobody_can_go_new_ones_are_refused_at_once(tmp_path: Path) -> None:
    with running(tmp_path, TrustedProxies=[], Limits={"MaxOpenConnections": 100}) as server:
        async with honest_beside(server), connected(server, 95) as busy:
            for client in busy:
                await client.send(HEAD + b"Content-Length: 50\r\n\r\n{")
            await until(lambda: count(server, "tracker_connections") >= 95)
            async with connected(server, 40) as newer:
                answers = await asyncio.gather(*(client.rest() for client in newer[20:]))
            assert {status_of(answer) for answer in answers} <= {503, 0}
            assert ended(server, "full") >= 20
