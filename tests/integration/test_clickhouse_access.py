"""Who may come in to a ClickHouse server, and how the connection to it is secured."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.batches import batch, event
from tests.support.certificates import Certificate, certificate
from tests.support.clickhouse_process import ClickHouse, serving
from tests.support.clickhouse_writes import emptied, ids, open_sink, over_http, refused, stored
from tracker.sinks.registry import make_sink

pytestmark = pytest.mark.long

SECRET = "s3cret-word"
USERS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "writer": {"password": SECRET},
    "looker": {"readonly": 2},
    "guest": {"readonly": 1},
    "reader": {"may": ["SELECT", "SHOW", "DESCRIBE", "DESC", "EXISTS"]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with serving(tmp_path_factory.mktemp("clickhouse") / "data", users=USERS) as running:
        yield running


@pytest.fixture
async def database(server: ClickHouse, tmp_path: Path) -> str:
    """With its tables, as a person with all rights left it."""
    name = emptied(server)
    async with open_sink(tmp_path, server.port, database=name):
        return name


async def test_a_user_with_the_right_password_writes(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    rows = [event() for _ in range(10)]
    access = {"database": database, "username": "writer", "password": SECRET}
    async with open_sink(tmp_path, server.port, **access) as sink:
        await sink.write(batch(rows))
    assert stored(server, database) == ids(rows)


@pytest.mark.parametrize(
    ("access", "name"),
    [
        ({"username": "writer", "password": "wr0ng-word"}, "AUTHENTICATION_FAILED"),
        ({"username": "nobody", "password": "wr0ng-word"}, "AUTHENTICATION_FAILED"),
        ({"username": "writer"}, "AUTHENTICATION_FAILED"),
        ({"username": "looker"}, "READONLY"),
        ({"username": "guest"}, "readonly"),
        ({"username": "reader"}, "ACCESS_DENIED"),
    ],
    ids=["wrong password", "unknown user", "no password", "may only read", "may change nothing", "no grant"],
)
async def test_who_may_not_write_is_unavailable_by_name_and_nobody_reads_a_password(
    server: ClickHouse, database: str, tmp_path: Path, access: Mapping[str, Any], name: str
) -> None:
    sink = make_sink(over_http(tmp_path, server.port, database=database, **access))

    async def open_and_write() -> None:
        await sink.open()
        await sink.write(batch([event()]))

    error = await refused(open_and_write())
    await sink.close()
    assert error.is_connection
    assert name.lower() in error.reason.lower()
    assert "wr0ng" not in error.reason
    assert stored(server, database) == []


async def test_a_password_that_is_changed_meanwhile_is_waited_out(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    rows = [event()]
    async with open_sink(tmp_path, server.port, database=database) as sink:
        server.wrong({"does": "complain", "code": 516, "times": 1})
        assert (await refused(sink.write(batch(rows)))).is_connection
        await sink.open()
        await sink.write(batch(rows))
        assert stored(server, database) == ids(rows)


async def test_a_database_dropped_meanwhile_is_unavailable_and_made_again_at_the_next_opening(
    server: ClickHouse, database: str, tmp_path: Path
) -> None:
    rows = [event()]
    async with open_sink(tmp_path, server.port, database=database) as sink:
        server.ask(f"DROP DATABASE {database}")
        error = await refused(sink.write(batch(rows)))
        assert error.is_connection
        assert "UNKNOWN_DATABASE" in error.reason
        await sink.close()
        await sink.open()
        await sink.write(batch(rows))
        assert stored(server, database) == ids(rows)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, authority: Certificate) -> Iterator[ClickHouse]:
    folder = tmp_path_factory.mktemp("secured")
    with serving(folder / "data", cert=authority.cert, key=authority.key) as running:
        yield running


async def test_over_tls_the_server_s_certificate_is_checked(
    secured: ClickHouse, authority: Certificate, tmp_path: Path
) -> None:
    rows = [event()]
    async with open_sink(
        tmp_path, secured.port, is_tls=True, is_verified=True, ca_cert=authority.cert
    ) as sink:
        await sink.write(batch(rows))
    assert set(ids(rows)) <= set(stored(secured, "sfpla"))


async def test_a_certificate_that_no_one_trusts_is_refused(secured: ClickHouse, tmp_path: Path) -> None:
    other = certificate(tmp_path, "other")
    for trusted in (None, other.cert):
        sink = make_sink(over_http(tmp_path, secured.port, is_tls=True, is_verified=True, ca_cert=trusted))
        error = await refused(sink.open())
        assert error.is_connection
        assert "certificate" in error.reason.lower()
        await sink.close()


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    made = certificate(tmp_path, host="elsewhere.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        sink = make_sink(over_http(tmp_path, port, is_tls=True, is_verified=True, ca_cert=made.cert))
        assert "certificate" in (await refused(sink.open())).reason.lower()
        await sink.close()


async def test_without_verification_any_certificate_will_do(secured: ClickHouse, tmp_path: Path) -> None:
    rows = [event()]
    async with open_sink(tmp_path, secured.port, is_tls=True, is_verified=False) as sink:
        await sink.write(batch(rows))
    assert set(ids(rows)) <= set(stored(secured, "sfpla"))


async def test_plain_http_to_a_secured_port_and_tls_to_a_plain_one_are_unavailable(
    secured: ClickHouse, server: ClickHouse, tmp_path: Path
) -> None:
    for settings in (over_http(tmp_path, secured.port), over_http(tmp_path, server.port, is_tls=True)):
        sink = make_sink(settings)
        assert (await refused(sink.open())).is_connection
        await sink.close()
