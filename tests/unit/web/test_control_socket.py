"""The control socket's file: whose it is, how long it lives, what it may replace."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector, web

from tracker.errors import ConfigError
from tracker.web.control_socket import MAX_PATH_BYTES, ControlSocket, bind, is_listening


def serving(path: Path, *, is_replacing: bool = False) -> ControlSocket:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="yes")

    app = web.Application()
    app.router.add_get("/", answer)
    return ControlSocket(path, app, is_replacing=is_replacing)


async def asked(path: Path) -> str:
    async with (
        ClientSession(connector=UnixConnector(str(path))) as session,
        session.get("http://tracker/") as response,
    ):
        return await response.text()


async def test_only_the_owner_can_open_it_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "data" / "tracker.sock"
        control = serving(path)
        await control.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert os.umask(0) == 0
        await control.stop()
    finally:
        os.umask(before)


async def test_it_answers_and_its_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"
    control = serving(path)
    await control.start()
    assert await asked(path) == "yes"
    await control.stop()
    assert not path.exists()


async def test_one_that_replaces_another_gets_its_path_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"
    first, second = serving(path), serving(path, is_replacing=True)
    await first.start()
    await second.start()
    await first.stop()
    assert await asked(path) == "yes"
    await second.stop()
    assert not path.exists()


async def test_the_file_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    control = serving(path)
    await control.start()
    assert await asked(path) == "yes"
    await control.stop()


async def test_a_living_server_keeps_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"
    first = serving(path)
    await first.start()
    with pytest.raises(ConfigError, match="another server listens"):
        await serving(path).start()
    assert await asked(path) == "yes"
    await first.stop()


async def test_a_socket_that_somebody_else_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"
    first = serving(path)
    await first.start()
    path.unlink()
    second = serving(path)
    await second.start()
    await first.stop()
    assert await asked(path) == "yes"
    await second.stop()


def test_a_path_that_is_too_long_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"at most {MAX_PATH_BYTES}"):
        bind(tmp_path / ("x" * 107))


def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sock"
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(ConfigError, match="no socket"):
        bind(path)
    assert path.read_text(encoding="utf-8") == "precious"


def test_nobody_listens_where_nothing_is(tmp_path: Path) -> None:
    assert is_listening(tmp_path / "nothing") is False


def test_a_bound_socket_that_does_not_listen_yet_is_nobody(tmp_path: Path) -> None:
    listener = bind(tmp_path / "tracker.sock")
    assert is_listening(tmp_path / "tracker.sock") is False
    listener.close()


async def test_uvloop_serves_it_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")
    path = tmp_path / "tracker.sock"

    async def journey() -> str:
        control = serving(path)
        await control.start()
        try:
            return await asked(path)
        finally:
            await control.stop()

    assert await asyncio.to_thread(lambda: uvloop.run(journey())) == "yes"
    assert not path.exists()
